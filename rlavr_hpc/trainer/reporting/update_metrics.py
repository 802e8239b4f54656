"""What a step's updates and its time come to, as metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch.distributed as dist

from rlavr_hpc.answers.verifier import Grade
from rlavr_hpc.learning.dynamic_sampling import is_informative
from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.clock import StepClock
from rlavr_hpc.telemetry.reduce import Mean, Metrics, mean_of, merge
from rlavr_hpc.telemetry.step_metrics import (
    Update,
    Work,
    advantage_metrics,
    generated_tokens,
    label_metrics,
    rate_metrics,
    trained_tokens,
    update_metrics,
)
from rlavr_hpc.trainer.acquire import Acquired
from rlavr_hpc.trainer.components import Components
from rlavr_hpc.types import Group, LabelledGroup, MiniBatch


def purchase_metrics(
    bought: Acquired, lessons: Sequence[LabelledGroup], grades: Mapping[str, Grade]
) -> Metrics:
    """What the step's labels were, and how their comparison went."""
    lost = mean_of(len(grades[prompt].ungradable) for prompt in bought.labels)
    return {
        **label_metrics(bought.labels, lessons, bought.spend),
        names.LABELS_TRUSTED: Mean(len(bought.selection.trusted)),
        names.GRADE_LOST_BY_LABEL: lost,
    }


def training_metrics(
    components: Components,
    groups: Sequence[Group],
    batches: Sequence[MiniBatch],
    updates: Sequence[Update],
) -> Metrics:
    """What the step's updates did, with the prompts that it trained on."""
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    return merge(
        [
            advantage_metrics(batches, responses=len(rollouts)),
            {names.TRAIN_INFORMATIVE_GROUPS: mean_of(map(is_informative, groups))},
            {names.TRAIN_LENGTH_PENALTY: mean_of(map(components.shaping.penalty, rollouts))},
            {names.TRAIN_TOKENS: Mean(sum(update.sums["tokens"] for update in updates))},
            *map(update_metrics, updates),
        ]
    )


def timing(
    components: Components, groups: Sequence[Group], batches: Sequence[MiniBatch], clock: StepClock
) -> Metrics:
    """The step's seconds until now, and what was done in them.

    `groups`: all that were generated.
    """
    timed = clock.metrics()
    work = Work(
        generated=generated_tokens(groups, replicas=components.engine.replicas),
        responses=sum(len(group.rollouts) for group in groups),
        trained=trained_tokens(batches),
        ranks=dist.get_world_size(),
    )
    return {**timed, **rate_metrics(work, timed)}
