"""Key group `warning`: what an early warning of collapse does."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from rlavr_hpc.config.checks import at_least
from rlavr_hpc.errors import UserError


class OnRisk(StrEnum):
    """What an early warning does."""

    none = "none"
    warn = "warn"
    stop = "stop"
    rollback = "rollback"
    raise_budget = "raise_budget"


@dataclass(slots=True, kw_only=True)
class WarningConfig:
    """What happens when `collapse/risk` reaches a threshold."""

    action: OnRisk = OnRisk.warn
    """none, warn (say why), stop (with a checkpoint, exit code 3), rollback (go on from the last
    healthy checkpoint with other noise), or raise_budget: warn, and buy more labels while the risk
    lasts, under `budget_total`."""
    threshold: float = 0.5
    healthy: float = 0.25
    """A checkpoint with a risk below this is healthy."""
    max_rollbacks: int = 2
    """After as many, `rollback` stops the run."""
    budget_factor: float = 2.0
    """raise_budget: how many times the step's quota."""

    def __post_init__(self) -> None:
        """Check ranges."""
        if not 0 < self.threshold <= 1:
            raise UserError(f"warning.threshold={self.threshold} is outside (0, 1]")
        if self.action is OnRisk.rollback and not 0 < self.healthy <= self.threshold:
            raise UserError(
                f"warning.healthy={self.healthy} is outside (0, warning.threshold={self.threshold}]"
            )
        at_least("warning.max_rollbacks", self.max_rollbacks, 0)
        if not 1 <= self.budget_factor < math.inf:
            raise UserError(f"warning.budget_factor={self.budget_factor} must be at least 1")
