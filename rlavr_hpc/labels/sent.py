"""The log of calls that cost: a line before each call, and one after it.

A call whose second line is missing has an unknown end, and counts as paid: the machine may have
died after the service had read it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rlavr_hpc.io import canonical_json, make_folder, publish_once
from rlavr_hpc.labels.line_files import LineFollower, LinesOut
from rlavr_hpc.labels.mailbox import CLAIMS, SENT
from rlavr_hpc.labels.orders import Order
from rlavr_hpc.runs.process import ProcessIdentity, is_alive, this_process

ANSWERED, LATER, FAILED = "answered", "later", "failed: "
"""How a call ended; a failure is told behind the colon."""


@dataclass(slots=True, kw_only=True)
class Calls:
    """What was sent for one key."""

    begun: dict[int, float] = field(default_factory=dict)
    """Try -> what it may cost."""
    ended: dict[int, tuple[str, float]] = field(default_factory=dict)
    """Try -> how it ended, and what it cost."""
    first: float | None = None
    """Unix time of the first."""

    @property
    def cost(self) -> float:
        """Of all calls; one whose end is unknown counts in full."""
        return sum(
            self.ended[number][1] if number in self.ended else price
            for number, price in self.begun.items()
        )

    @property
    def failure(self) -> str:
        """How the last call failed; "" where it did not."""
        how = self.ended[max(self.ended)][0] if self.ended else ""
        return how if how.startswith(FAILED) else ""


@dataclass(slots=True)
class CallsIn:
    """All calls that a run's mailbox, or a bank, knows of, by key."""

    folder: Path
    calls: dict[str, Calls] = field(default_factory=dict)
    _lines: LineFollower = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is read yet."""
        self._lines = LineFollower(self.folder / SENT)

    def look(self) -> None:
        """Read what is new."""
        for _, row in self._lines.look():
            try:
                key, number, at = str(row["key"]), int(row["try"]), float(row["at"])
                calls = self.calls.setdefault(key, Calls())
                if "ended" in row:
                    calls.ended[number] = (str(row["ended"]), float(row["cost"]))
                else:
                    calls.begun[number] = float(row["price"])
                    calls.first = at if calls.first is None else min(calls.first, at)
            except (KeyError, TypeError, ValueError):
                continue  # of a stranger: it says nothing of a call of ours


@dataclass(slots=True)
class CallLog:
    """Claims calls and logs them, for one start of a bridge."""

    folder: Path
    """The run's, or the bank's."""
    name: str
    """Of the start."""
    try_seconds: float
    """A call of another host is over after so long."""
    known: CallsIn = field(init=False)
    _out: LinesOut = field(init=False)
    _me: ProcessIdentity = field(default_factory=this_process)

    def __post_init__(self) -> None:
        """Read what others have sent."""
        self.known = CallsIn(self.folder)
        self._out = LinesOut(self.folder / SENT, self.name)
        self.known.look()

    def claim(
        self, orders: Iterable[Order], *, at_risk: float | None = None
    ) -> list[tuple[Order, int]]:
        """The orders that this process may send now, each with the number of its call.

        They are claimed and logged as sent. An order whose call is another process's, or is not
        known to be over, is left out.

        Args:
            orders: the orders.
            at_risk: what a call costs whose end is never known; None = the order's price.

        Raises:
            OSError: the claim cannot be written; nothing may be sent.
        """
        claimed = []
        for order in orders:
            calls = self.known.calls.setdefault(order.key, Calls())
            number = self._next(order.key, calls)
            if number is not None and self._link(order.key, number):
                claimed.append((order, number))
        now = time.time()
        self._out.append(
            {
                "key": order.key,
                "try": number,
                "price": order.price if at_risk is None else at_risk,
                "at": now,
            }
            for order, number in claimed
        )
        self.known.look()
        return claimed

    def ended(self, key: str, number: int, how: str, *, cost: float) -> None:
        """Log the end of a call."""
        row = {"key": key, "try": number, "ended": how, "cost": cost, "at": time.time()}
        self._out.append([row])
        self.known.look()

    def in_flight(self, key: str) -> bool:
        """Whether a call was made, here or elsewhere, that may still give the answer."""
        calls = self.known.calls.get(key)
        return calls is not None and self._may_answer(key, max(calls.begun, default=0), calls)

    def _next(self, key: str, calls: Calls) -> int | None:
        """The number of the next call; None while one is in flight elsewhere."""
        number = max(calls.begun, default=0)
        while True:
            if self._may_answer(key, number, calls):
                return None
            if not self._path(key, number + 1).exists():
                return number + 1
            number += 1

    def _may_answer(self, key: str, number: int, calls: Calls) -> bool:
        """Whether this call is in flight, or has ended with an answer that is not written yet."""
        how = calls.ended[number][0] if number in calls.ended else ""
        if not number or how not in ("", ANSWERED):
            return False
        try:
            claim = json.loads(self._path(key, number).read_text())
            begun = float(claim.pop("at"))
            owner = ProcessIdentity(**claim)
            lives = is_alive(owner, seen_at=begun)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return False
        if how == ANSWERED and owner == self._me:
            return False  # it was not written, or is void for another run
        return lives is not False and time.time() - begun < self.try_seconds

    def _link(self, key: str, number: int) -> bool:
        make_folder(self.folder / CLAIMS)
        text = canonical_json({**asdict(self._me), "at": time.time()})
        return publish_once(self._path(key, number), text)

    def _path(self, key: str, number: int) -> Path:
        return self.folder / CLAIMS / f"{key}.{number}"
