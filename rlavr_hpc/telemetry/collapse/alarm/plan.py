"""What of the alarm is fixed before the first audit, and what it says when it is raised."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import ceil

from rlavr_hpc.telemetry.collapse.alarm.wealth import beyond_plan


class AlarmBound(StrEnum):
    """What may fall."""

    first = "first"
    pairs = "pairs"
    trust = "trust"


WEIGHTS = {AlarmBound.first: 1.0, AlarmBound.pairs: 2.0, AlarmBound.trust: 1.0}
"""Shares of the level, among the bounds that are watched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmPlan:
    """What is fixed before the first audit: a later change of it would be a second try."""

    false_alarm: float
    """Chance of a false alarm, at most."""
    begin: int
    """The step after which auditing begins."""
    steps: int
    """The step at which the run is to end; audits beyond it have less power."""
    steps_per_pass: int
    kept_per_step: float
    """Expected number of kept prompts in a step; 0 = none are kept."""
    used_per_step: float
    """Trusted votes audited in a step; 0 = none are."""
    trust_floor: float

    def pass_of(self, step: int) -> int:
        """The pass over the data in which a step is, 1 where auditing begins."""
        return (step - 1) // self.steps_per_pass - self.begin // self.steps_per_pass + 1

    @property
    def levels(self) -> dict[AlarmBound, float]:
        """Of each bound that is watched; they add up to `false_alarm`."""
        kept = [AlarmBound.first, AlarmBound.pairs] if self.kept_per_step else []
        watched = [*kept, *([AlarmBound.trust] if self.used_per_step else [])]
        total = sum(WEIGHTS[bound] for bound in watched)
        return {bound: self.false_alarm * WEIGHTS[bound] / total for bound in watched}

    def level_of_pass(self, number: int) -> float:
        """Of the pairs of one pass, 2, 3, ...: each has a test of its own."""
        planned = max(0, self.pass_of(self.steps) - 1)
        return self.levels[AlarmBound.pairs] * beyond_plan(number - 1, planned=planned)

    @property
    def planned_first(self) -> int:
        """Kept prompts foreseen in the first pass."""
        left = self.steps_per_pass - self.begin % self.steps_per_pass
        steps = max(1, min(left, self.steps - self.begin))
        return max(1, ceil(self.kept_per_step * steps))

    @property
    def planned_used(self) -> int:
        """Trusted votes foreseen in the run."""
        return max(1, ceil(self.used_per_step * (self.steps - self.begin)))


@dataclass(frozen=True, slots=True, kw_only=True)
class RaisedAlarm:
    """When the alarm was raised, by which bound, and why."""

    step: int
    bound: AlarmBound
    reason: str
