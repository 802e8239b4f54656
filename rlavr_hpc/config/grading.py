"""Config group `grading`: where answers are looked for, and the limits on grading one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rlavr_hpc.config.checks import at_least
from rlavr_hpc.errors import UserError


class Extract(StrEnum):
    """Where a math answer is looked for in a response."""

    boxed = "boxed"
    """In a LaTeX box."""
    stated = "stated"
    """Else after "the answer is"."""
    any = "any"
    """Else the last formula, expression or number."""


@dataclass(slots=True, kw_only=True)
class GradingConfig:
    """Where answers are looked for, and the limits on grading one."""

    extract: Extract = Extract.boxed
    """Where a math answer is looked for in a response; each choice includes those before it."""
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
