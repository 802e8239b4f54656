"""A run's mailbox: orders go out, answers come in, through files that hosts share.

    RUN/labels/orders/N.jsonl          written by attempt N of the run: orders, and withdrawn keys
    RUN/labels/answers/START.jsonl     written by one start of a bridge or a desk
    RUN/labels/sent/START.jsonl        its log of calls: before each one, and after it
    RUN/labels/claims/KEY.N            who makes the N-th call for a key

`line_files` says how the files are written and read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from rlavr_hpc.labels.line_files import LineFollower, LinesOut, Refused
from rlavr_hpc.labels.orders import Answer, Order, read_answer, read_order

LABELS = "labels"
ORDERS, ANSWERS = f"{LABELS}/orders", f"{LABELS}/answers"
SENT, CLAIMS = f"{LABELS}/sent", f"{LABELS}/claims"


@dataclass(slots=True)
class OrdersOut:
    """The run's side of the orders, for one attempt."""

    run_dir: Path
    attempt: int
    placed: set[str] = field(default_factory=set)
    """Keys of all orders in the mailbox, of earlier attempts too."""
    _out: LinesOut = field(init=False)

    def __post_init__(self) -> None:
        """Read what earlier attempts ordered."""
        self._out = LinesOut(self.run_dir / ORDERS, str(self.attempt))
        for _, row in LineFollower(self.run_dir / ORDERS, nul_seconds=0.0).look():
            if isinstance(key := row.get("key"), str):
                self.placed.add(key)

    def place(self, orders: Iterable[Order]) -> None:
        """Put orders into the mailbox; those that are there already stay as they are."""
        new = [order for order in orders if order.key not in self.placed]
        self._out.append(order.to_row() for order in new)
        self.placed |= {order.key for order in new}

    def withdraw(self, keys: Iterable[str]) -> None:
        """Say that these answers are not wanted any more."""
        self._out.append({"key": key, "withdrawn": True} for key in keys)


@dataclass(slots=True)
class OrdersIn:
    """The source's side: all orders of a run."""

    run_dir: Path
    orders: dict[str, Order] = field(default_factory=dict)
    withdrawn: set[str] = field(default_factory=set)
    refused: list[Refused] = field(default_factory=list)
    _lines: LineFollower = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is read yet."""
        self._lines = LineFollower(self.run_dir / ORDERS)

    def look(self) -> list[Order]:
        """Orders that are new since the last look."""
        new = []
        for where, row in self._lines.look():
            if row.get("withdrawn") is True and isinstance(row.get("key"), str):
                self.withdrawn.add(row["key"])
                continue
            try:
                order = read_order(row)
            except ValueError as error:
                self.refused.append(Refused(where=where, why=str(error)))
                continue
            if order.key not in self.orders:
                self.orders[order.key] = order
                new.append(order)
        self.refused += self._lines.refused
        return new


@dataclass(slots=True)
class AnswersIn:
    """All answers in a run's mailbox; both sides read them."""

    run_dir: Path
    first: dict[str, Answer] = field(default_factory=dict)
    """By key, the one that counts."""
    later: dict[str, list[Answer]] = field(default_factory=dict)
    """By key, those that came after it: a correction, or a second bridge's."""
    refused: list[Refused] = field(default_factory=list)
    """Lines that are no answers, of all looks."""
    _lines: LineFollower = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is read yet."""
        self._lines = LineFollower(self.run_dir / ANSWERS)

    @property
    def corrected(self) -> set[str]:
        """Keys whose source has said that its first answer was a mistake."""
        return {key for key, later in self.later.items() if any(one.corrects for one in later)}

    def latest(self, key: str) -> Answer:
        """The last correction of an answer."""
        return [one for one in self.later[key] if one.corrects][-1]

    def look(self) -> list[Answer]:
        """Answers that are new since the last look, in the order of files and lines."""
        new = []
        for where, row in self._lines.look():
            try:
                answer = read_answer(row)
            except ValueError as error:
                self.refused.append(Refused(where=where, why=str(error)))
                continue
            if answer.key in self.first:
                self.later.setdefault(answer.key, []).append(answer)
            else:
                self.first[answer.key] = answer
            new.append(answer)
        self.refused += self._lines.refused
        return new
