"""The `grading` group of a run's config: where answers stand and what grading one may cost."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rlavr_hpc.config.checks import at_least
from rlavr_hpc.errors import UserError


class Extract(StrEnum):
    """Where a math answer may stand in a response."""

    boxed = "boxed"
    stated = "stated"
    any = "any"


@dataclass(slots=True, kw_only=True)
class GradingConfig:
    """How answers are found and how long a grader may work on one."""

    extract: Extract = Extract.boxed
    """boxed: in a box; stated: else after "the answer is"; any: else the last formula or number."""
    cpu_seconds: float = 2.0
    """CPU time for reading or comparing one answer; past it the answer is ungradable."""
    memory_mib: int = 1024
    """Memory for it, beyond what an idle grader holds."""

    def __post_init__(self) -> None:
        """Check ranges."""
        if not 0.1 <= self.cpu_seconds <= 3600:
            raise UserError(f"grading.cpu_seconds={self.cpu_seconds} is outside [0.1, 3600]")
        at_least("grading.memory_mib", self.memory_mib, 64)
