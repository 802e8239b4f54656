"""What a judge's calls cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rlavr_hpc.labels.sources.judge_reading import Failed, Nothing, Reply, Stopped, Usage

MILLION = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Of a million tokens."""

    prompt: float
    reply: float

    @property
    def known(self) -> bool:
        """Whether tokens have a price; without one an answer costs what its order says."""
        return self.prompt > 0 or self.reply > 0

    def of(self, prompt: int, reply: int) -> float:
        """Of so many tokens."""
        return (prompt * self.prompt + reply * self.reply) / MILLION

    def cost(self, reply: Reply, bound: float) -> float:
        """Of a call.

        Args:
            reply: what it gave.
            bound: the most that it may have cost, where the service does not count.
        """
        outcome = reply.outcome
        if isinstance(outcome, Stopped):
            return 0.0
        if isinstance(outcome, Failed | Nothing) and not outcome.spent:
            return 0.0
        if not self.known or reply.usage is None:
            return bound
        return self.of(reply.usage.prompt, reply.usage.reply)

    def note(self, usages: Sequence[Usage | None]) -> str:
        """The tokens of an answer's calls, for the record."""
        counted = [usage for usage in usages if usage is not None]
        prompt, reply = sum(u.prompt for u in counted), sum(u.reply for u in counted)
        note = f"{len(usages)} calls, {prompt} prompt tokens, {reply} reply tokens"
        if len(counted) == len(usages):
            return note
        missing = len(usages) - len(counted)
        return f"{note}; {missing} without a count" + (", cost estimated" if self.known else "")
