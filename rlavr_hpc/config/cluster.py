"""How a run shares its node, and how long it has after a signal."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rlavr_hpc.config.checks import at_least
from rlavr_hpc.errors import UserError


@dataclass(slots=True, kw_only=True)
class ClusterConfig:
    """How this process shares its node."""

    threads: int = 0
    """Per rank; 0 = cores / (ranks x runs on the node)."""
    runs_per_node: int = 1
    graders: int = 0
    """Grader processes per rank; 0 = as many as threads."""
    grace_seconds: float | None = None
    """Between TERM and the kill; null = Slurm's GraceTime or KillWait where a launcher has asked
    it, else 30."""
    warning_seconds: float | None = None
    """Between USR2 and the kill: the signal's lead before a time limit; null = `grace_seconds`."""

    def __post_init__(self) -> None:
        """Check ranges."""
        at_least("cluster.threads", self.threads, 0)
        at_least("cluster.runs_per_node", self.runs_per_node, 1)
        at_least("cluster.graders", self.graders, 0)
        for key in ("grace_seconds", "warning_seconds"):
            value = getattr(self, key)
            if value is not None and not 0 <= value < math.inf:
                raise UserError(f"cluster.{key}={value} must not be negative")

    @property
    def grace(self) -> float:
        """Seconds between TERM and the kill."""
        return 30.0 if self.grace_seconds is None else self.grace_seconds

    @property
    def warning(self) -> float:
        """Seconds between USR2 and the kill."""
        return self.grace if self.warning_seconds is None else self.warning_seconds
