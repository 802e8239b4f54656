"""Config group `grading`: where answers are looked for, and the limits on grading one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rlavr_hpc.config.checks import at_least
from rlavr_hpc.errors import UserError


class Extract(StrEnum):
    """Where a math answer is looked for in a response."""

    auto = "auto"
    """Behind the last explicit mark, of whatever kind: boxes, an `Answer:` line, an `<answer>`
    block, `####`; else after "the answer is"."""
    boxed = "boxed"
    """In the last LaTeX box, as in version 0.1."""
    line = "line"
    """In the last line that begins with `Answer:`."""
    block = "block"
    """In the last `<answer>` block."""
    hashes = "hashes"
    """Behind the last `####`."""
    stated = "stated"
    """In the last LaTeX box, else after "the answer is"."""
    any = "any"
    """The last formula, expression or number, a box before others."""


class Thoughts(StrEnum):
    """Whether an answer may stand in a thought, `<think>...</think>`."""

    skip = "skip"
    """No: what follows the last thought is read; a thought that was cut off has no answer."""
    read = "read"
    """Yes: the response is read as one text, as in version 0.1."""


@dataclass(slots=True, kw_only=True)
class GradingConfig:
    """Where answers are looked for, and the limits on grading one."""

    extract: Extract = Extract.auto
    """Where a math answer is looked for in a response."""
    thoughts: Thoughts = Thoughts.skip
    """Whether a draft in a thought, `<think>...</think>`, may be the answer; of the tasks math,
    choice and knights."""
    evaluate_expressions: bool = True
    """Whether a sum, a difference or a product of numbers equals its value, `41+6` equals 47;
    `false` where a model could repeat the calculation from the question."""
    cpu_seconds: float = 2.0
    """Limit on CPU time, in seconds, to read or compare one answer; beyond it the answer is
    ungradable: it does not vote and earns nothing."""
    memory_mib: int = 1024
    """Limit on memory for it, in MiB, beyond what an idle grading process holds."""

    def __post_init__(self) -> None:
        """Check ranges."""
        if not 0.1 <= self.cpu_seconds <= 3600:
            raise UserError(f"grading.cpu_seconds={self.cpu_seconds} is outside [0.1, 3600]")
        at_least("grading.memory_mib", self.memory_mib, 64)
