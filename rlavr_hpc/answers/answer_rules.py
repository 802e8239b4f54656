"""What `equivalence.Equality` asks of those who read and compare answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from rlavr_hpc.answers.sandbox.process import Limits, Outcome, Request
from rlavr_hpc.answers.sandbox.timeouts import RawAnswer

if TYPE_CHECKING:
    from rlavr_hpc.answers.equivalence import ParsedAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRules:
    """What a kind of answers does differently."""

    read_here: Callable[[RawAnswer], ParsedAnswer | None]
    """Reads a text without a grader; None = it needs one."""
    parsed: Callable[[RawAnswer, object], ParsedAnswer | None]
    """What a text says, from a grader's reply to READ; None = there is no answer in it."""
    outcome: Callable[[object], float | None]
    """What a grader's reply to SAME or MATCHES says; None = past a limit."""
    is_exact: Callable[[RawAnswer], bool]
    """Whether a text is never at fault when a comparison passes a limit."""


class Graders(Protocol):
    """Who answers requests: see `sandbox.pool`."""

    limits: Limits
    timed_out: int

    @property
    def pids(self) -> list[int]:
        """Process ids."""

    def run(self, requests: Sequence[Request]) -> list[Outcome]:
        """Answer every request, in order."""

    def wait_until_ready(self) -> None:
        """Return when every grader has started."""

    def close(self) -> None:
        """End them."""
