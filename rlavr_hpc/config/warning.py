"""Config group `warning`: what an early warning of collapse does."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from rlavr_hpc.config.checks import at_least
from rlavr_hpc.errors import UserError


class OnRisk(StrEnum):
    """What an early warning does."""

    none = "none"
    """Nothing."""
    warn = "warn"
    """Say why."""
    stop = "stop"
    """Stop with a checkpoint and exit code 3."""
    rollback = "rollback"
    """Continue from the last healthy checkpoint, with other random numbers."""
    raise_budget = "raise_budget"
    """Say why, and buy more labels while the risk lasts, up to `budget_total`."""


@dataclass(slots=True, kw_only=True)
class WarningConfig:
    """What happens when `collapse/risk` reaches a threshold."""

    action: OnRisk = OnRisk.warn
    """What an early warning of collapse does."""
    threshold: float = 0.5
    """The warning fires when `collapse/risk` (0 to 1) reaches this."""
    healthy: float = 0.25
    """A checkpoint is healthy if `collapse/risk` was below this, and its held-out accuracy within
    the noise of the best."""
    max_rollbacks: int = 2
    """Roll-backs after which `action=rollback` stops the run instead."""
    budget_factor: float = 2.0
    """With `action=raise_budget`: factor of a step's quota of labels, at least 1."""

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
