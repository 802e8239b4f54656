"""Rewarded groups as the optimizer's mini-batches, in one call."""

from __future__ import annotations

from collections.abc import Sequence

from rlavr_hpc.learning.advantages import compute_advantages
from rlavr_hpc.learning.batch import PLAIN, make_mini_batches
from rlavr_hpc.learning.reward_shaping import Shaping
from rlavr_hpc.training_types import MiniBatch, TrainingGroup


def mini_batches_of(
    groups: Sequence[TrainingGroup],
    *,
    mini_batch: int,
    keep_all: bool = False,
    shaping: Shaping = PLAIN,
) -> list[MiniBatch]:
    """As a training step makes them."""
    return make_mini_batches(
        groups,
        compute_advantages(groups, shaping),
        mini_batch=mini_batch,
        keep_all=keep_all,
        shaping=shaping,
    )
