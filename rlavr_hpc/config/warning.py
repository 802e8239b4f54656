"""Config group `warning`: audits of votes, the alarm that they raise, and what it does."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from rlavr_hpc.config.checks import at_least
from rlavr_hpc.errors import UserError

if TYPE_CHECKING:
    from rlavr_hpc.config.run import RunConfig


class OnRisk(StrEnum):
    """What a warning does."""

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


class ActsOn(StrEnum):
    """What a warning is."""

    alarm = "alarm"
    """The collapse alarm, whose rate of false alarms is bounded; it needs audits."""
    hint = "hint"
    """`collapse/risk` at its threshold: no label is bought for it, and nothing is promised."""


class VoteAudit(StrEnum):
    """Which votes are audited with true labels."""

    none = "none"
    """None."""
    used = "used"
    """Trusted ones, drawn at random after the policy chose; their labels train, too."""
    kept = "kept"
    """Those of a random share of the prompts, at every visit; their labels never train."""
    both = "both"
    """Both."""

    @property
    def uses(self) -> bool:
        """Whether trusted votes are drawn."""
        return self in (VoteAudit.used, VoteAudit.both)

    @property
    def keeps(self) -> bool:
        """Whether labels are kept from training."""
        return self in (VoteAudit.kept, VoteAudit.both)


ACTING = (OnRisk.stop, OnRisk.rollback, OnRisk.raise_budget)
"""Actions that change a run."""


@dataclass(slots=True, kw_only=True)
class WarningConfig:
    """Audits of votes, the alarm that they raise, and what a warning does."""

    action: OnRisk = OnRisk.warn
    """What a warning of collapse does."""
    act_on: ActsOn = ActsOn.alarm
    """What `action` acts on: the alarm, or the label-free hint."""
    audit: VoteAudit = VoteAudit.none
    """Which votes are audited with labels bought for it, besides those of `budget`."""
    false_alarm: float = 0.05
    """Chance that the alarm is raised in a run whose votes are sound, at most."""
    kept_share: float | None = None
    """Share of the prompts whose label is kept from training; null = max(1/batch, 100/prompts)."""
    used_per_step: float = 0.5
    """Trusted votes audited in a step; 0.5 = one in every second step."""
    trust_floor: float = 0.8
    """The alarm is raised when trusted votes are right less often than this."""
    threshold: float = 0.5
    """The hint is given when `collapse/risk` (0 to 1) reaches this."""
    healthy: float = 0.25
    """A checkpoint is healthy if what `act_on` names was below this, the hint's `collapse/risk` or
    the alarm's `collapse/alarm_evidence`, and its held-out accuracy within the noise of the
    best."""
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
        if not 0 < self.false_alarm < 0.5:
            raise UserError(f"warning.false_alarm={self.false_alarm} is outside (0, 0.5)")
        if self.kept_share is not None and not 0 < self.kept_share <= 1:
            raise UserError(f"warning.kept_share={self.kept_share} is outside (0, 1]")
        if not 0 < self.used_per_step < math.inf:
            raise UserError(f"warning.used_per_step={self.used_per_step} must be above 0")
        if not 0 < self.trust_floor < 1:
            raise UserError(f"warning.trust_floor={self.trust_floor} is outside (0, 1)")

    @property
    def on_alarm(self) -> bool:
        """Whether the alarm is what is acted on, and can be raised."""
        return self.act_on is ActsOn.alarm and self.audit is not VoteAudit.none

    def check_beside(self, config: RunConfig) -> None:
        """Check what spans groups; UserError where something cannot work."""
        if self.action is OnRisk.raise_budget:
            _check_raise(config)
        if self.action in ACTING and self.act_on is ActsOn.alarm:
            self._check_acting_alarm()
        if self.audit is not VoteAudit.none:
            self._check_audit(config)

    def _check_acting_alarm(self) -> None:
        if self.action is OnRisk.raise_budget:
            raise UserError(
                "warning.action=raise_budget buys more while a risk lasts, and an alarm does not "
                "pass; say warning.act_on=hint"
            )
        if self.audit is VoteAudit.none:
            raise UserError(
                f"warning.action={self.action} acts on the collapse alarm, and warning.audit=none "
                "audits no vote, so that it is never raised; say warning.audit=kept, or "
                "warning.act_on=hint to act on collapse/risk"
            )

    def _check_audit(self, config: RunConfig) -> None:
        if config.labels.live:
            raise UserError(
                f"warning.audit={self.audit} buys its labels from the data, at once, and labels="
                f"{config.labels.name} may need time; leave warning.audit out"
            )
        if config.budget_cost is not None:
            raise UserError(
                f"warning.audit={self.audit}: budget_cost would tell the acquisition policy what "
                "audits have cost, and so who is audited; use budget_total"
            )
        if self.audit.uses and not config.acquisition.has_trust:
            raise UserError(
                f"warning.audit={self.audit} draws among trusted votes, and acquisition="
                f"{config.acquisition.name} trusts none; say warning.audit=kept"
            )


def _check_raise(config: RunConfig) -> None:
    if config.budget_total is None:
        raise UserError(
            "warning.action=raise_budget needs a cap that it may not pass: set budget_total"
        )
    if config.acquisition.fixed_budget:
        raise UserError(
            f"warning.action=raise_budget cannot change what acquisition="
            f"{config.acquisition.name} buys; choose another acquisition or action"
        )
