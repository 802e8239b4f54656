"""The policy as its own judge: a label-free reward for prompts without a label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rlavr_hpc.types import Group, SelfRewardInputs

INSTRUCTION = """\
Below are a problem and a proposed solution. Check the solution step by step: is its final answer
correct? End with \\boxed{{True}} if it is, or with \\boxed{{False}} if it is not.

Problem:
{problem}

Proposed solution:
{solution}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfVerifyReward:
    """1 for a response that the policy itself judges correct, else 0 (method, section 5).

    The policy judges every response before labels are bought, while the engine holds its weights.
    """

    temperature: float = 0.5
    max_tokens: int = 4096
    """Of the judgement; fewer where the model's context is too short."""
    instruction: str = INSTRUCTION
    """Contains `{problem}` and `{solution}`; other braces are doubled."""

    def __post_init__(self) -> None:
        """Check ranges and the instruction."""
        if self.temperature < 0 or self.max_tokens < 1:
            raise ValueError("temperature must not be negative, max_tokens at least 1")
        try:
            written = self.about(problem="<P>", solution="<S>")
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(f"instruction cannot be filled in: {error!r}") from error
        if not ("<P>" in written and "<S>" in written):
            raise ValueError("instruction must contain {problem} and {solution}")

    def about(self, *, problem: str, solution: str) -> str:
        """The question to the policy about a response."""
        return self.instruction.format(problem=problem, solution=solution)

    def of(
        self, group: Group, by_vote: Sequence[float], own: SelfRewardInputs
    ) -> tuple[float, ...]:
        """(G,) its judgements."""
        return tuple(float(verdict) for verdict in own.verdicts)
