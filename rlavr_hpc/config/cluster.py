"""Config group `cluster`: how a run shares its node, and how long it has after a signal."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rlavr_hpc.config.checks import at_least
from rlavr_hpc.errors import UserError


@dataclass(slots=True, kw_only=True)
class ClusterConfig:
    """How a run shares its node, and how long it has after a signal; options are site presets."""

    threads: int = 0
    """CPU threads per rank; 0 = cores / (ranks x runs on the node)."""
    runs_per_node: int = 1
    """Runs that share a node, and its cores, at the same time."""
    graders: int = 0
    """Processes per rank that grade answers; 0 = as many as threads."""
    grace_seconds: float | None = None
    """Seconds between SIGTERM and the kill; null = Slurm's GraceTime or KillWait if the launcher
    could read it, else 30."""
    warning_seconds: float | None = None
    """Seconds between SIGUSR2, sent before a time limit, and the kill; null = `grace_seconds`."""
    check_memory: bool = True
    """Whether a start is refused whose plan does not fit the memory; with false it is only told."""

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
