"""A finished step as metrics: responses, purchase, updates, and the time they took."""

from __future__ import annotations

from collections.abc import Sequence

import torch.distributed as dist

from rlavr_hpc.config.labels import LabelsConfig, OnWrong
from rlavr_hpc.learning.dynamic_sampling import is_informative
from rlavr_hpc.learning.reward_shaping import Shaping
from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.reduce import Mean, Metrics, mean_of, merge
from rlavr_hpc.telemetry.response_metrics import group_metrics
from rlavr_hpc.telemetry.step_metrics import (
    Work,
    advantage_metrics,
    generated_tokens,
    label_metrics,
    rate_metrics,
    trained_tokens,
    update_metrics,
)
from rlavr_hpc.trainer.stages.context import StepContext
from rlavr_hpc.trainer.stages.records import StepRecords
from rlavr_hpc.types import Group


def step_metrics(step: StepContext, records: StepRecords) -> Metrics:
    """All metrics of a step, its time until now included. All ranks call this together."""
    losses = records.probe_losses.items()
    return merge(
        [
            group_metrics(records.drawn, records.training_groups),
            _purchase_metrics(records),
            {names.probe_name(probe): Mean(loss) for probe, loss in losses},
            _training_metrics(records, step.components.shaping),
            _negative_metrics(records, step.components.config.labels),
            _time_metrics(step, records),
            step.free_memory.metrics(),
        ]
    )


def _purchase_metrics(records: StepRecords) -> Metrics:
    """The step's labels, and the comparisons with them that timed out."""
    purchase, grades = records.purchase, records.grades
    return {
        **label_metrics(purchase.labels, records.labelled, purchase.spend),
        names.LABELS_TRUSTED: Mean(len(purchase.selection.trusted)),
        names.GRADE_LOST_BY_LABEL: mean_of(
            len(grades[prompt].ungradable) for prompt in purchase.labels
        ),
    }


def _training_metrics(records: StepRecords, shaping: Shaping) -> Metrics:
    """The step's updates, and the prompts that it trained on."""
    rollouts = [rollout for group in records.groups for rollout in group.rollouts]
    tokens = sum(update.sums["tokens"] for update in records.updates)
    return merge(
        [
            advantage_metrics(records.batches, responses=len(rollouts)),
            {names.TRAIN_INFORMATIVE_GROUPS: mean_of(map(is_informative, records.groups))},
            {names.TRAIN_LENGTH_PENALTY: mean_of(map(shaping.penalty, rollouts))},
            {names.TRAIN_TOKENS: Mean(tokens)},
            *map(update_metrics, records.updates),
        ]
    )


def _negative_metrics(records: StepRecords, labels: LabelsConfig) -> Metrics:
    """How many prompts the step trains away from their vote, where a run does so."""
    if labels.on_wrong is not OnWrong.negative:
        return {}
    refuted = sum(bool(one.refuted) for one in records.training_groups)
    return {names.TRAIN_NEGATIVE_GROUPS: Mean(refuted)}


def _time_metrics(step: StepContext, records: StepRecords) -> Metrics:
    """Seconds until now, and the work done in them."""
    timed = step.clock.metrics()
    work = Work(
        generated=generated_tokens(records.drawn, replicas=step.components.engine.replicas),
        responses=_responses(records.drawn),
        trained=trained_tokens(records.batches),
        ranks=dist.get_world_size(),
    )
    return {**timed, **rate_metrics(work, timed)}


def _responses(groups: Sequence[Group]) -> int:
    return sum(len(group.rollouts) for group in groups)
