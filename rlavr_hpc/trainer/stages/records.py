"""What a training step leaves behind for the record, on every rank."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rlavr_hpc.answers.verifier import Grade
from rlavr_hpc.telemetry.reduce import Metrics
from rlavr_hpc.telemetry.step_metrics import Update
from rlavr_hpc.trainer.stages.buy import StepPurchase
from rlavr_hpc.training_types import MiniBatch, TrainingGroup
from rlavr_hpc.types import Group, LabelledGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecords:
    """What each stage of a step returned."""

    drawn: list[Group]
    """All groups that were generated."""
    groups: list[Group]
    """Those that the step trains on; fewer with dynamic sampling."""
    purchase: StepPurchase
    grades: Mapping[str, Grade]
    """By prompt id, for prompts with a label or a pseudo-label."""
    labelled: list[LabelledGroup]
    """Groups whose label, or the verdict that their vote is wrong, was paid for in this step."""
    training_groups: list[TrainingGroup]
    batches: list[MiniBatch]
    updates: list[Update]
    probe_losses: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """A finished step."""

    records: StepRecords
    metrics: Metrics
