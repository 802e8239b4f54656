"""What a judge has in its hands: its orders, and one look at all of them."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from rlavr_hpc.labels.http_call import CallError, Fetched
from rlavr_hpc.labels.orders import Order
from rlavr_hpc.labels.secret import hide
from rlavr_hpc.labels.sent import CallLog
from rlavr_hpc.labels.source import SourceError, SourceStoppedError
from rlavr_hpc.labels.sources.judge_draws import Draw
from rlavr_hpc.labels.sources.judge_reading import Failed, JudgeSaid, Reply, read_reply


@dataclass(slots=True)
class JudgedOrder:
    """An order in the judge's hands."""

    order: Order
    draws: list[Draw] = field(default_factory=list)
    failures: int = 0
    not_before: float = 0.0
    call: Future[Fetched] | None = None
    number: int = 0
    begun: float = 0.0


@dataclass(slots=True, kw_only=True)
class Look:
    """One call of `order`."""

    log: CallLog
    key: str = field(repr=False)
    wanted: set[str]
    queue: deque[Order]
    failures: list[str] = field(default_factory=list)
    stop: str = ""
    """Why nothing more is sent."""
    no_address: bool = False
    """Whether that is the address itself."""

    def tell(self, address: str) -> None:
        """Raise what went wrong."""
        if self.stop:
            hint = _other_address(address) if self.no_address else ""
            raise SourceStoppedError(f"labels.base_url={address}: {self.stop}{hint}")
        if self.failures:
            count = len(self.failures)
            calls = "a call" if count == 1 else f"{count} calls"
            raise SourceError(f"labels.base_url={address}: {calls} failed: {self.failures[-1]}")


def _other_address(address: str) -> str:
    """What may be meant instead of an address under which nothing answers."""
    for end in ("/chat/completions", "/completions"):
        if address.endswith(end):
            return f"; the address ends before {end}: try {address.removesuffix(end)}"
    return "" if address.endswith("/v1") else f"; most services want /v1: try {address}/v1"


def reply_of(call: Future[Fetched], key: str) -> Reply:
    """What a call gave, without the key if the service says it back."""
    try:
        reply = read_reply(call.result())
    except CallError as error:
        return Reply(outcome=Failed(why=str(error), spent=error.reached))
    outcome = reply.outcome
    hidden = (
        replace(outcome, text=hide(outcome.text, key))
        if isinstance(outcome, JudgeSaid)
        else replace(outcome, why=hide(outcome.why, key))
    )
    return replace(
        reply,
        outcome=hidden,
        model=hide(reply.model, key),
        fingerprint=hide(reply.fingerprint, key),
    )
