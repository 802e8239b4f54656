"""Mini-batches of an optimizer update, from rewarded groups and their advantages.

Shapes: B groups of a step, G responses of a prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rlavr_hpc.learning.reward_shaping import Shaping
from rlavr_hpc.training_types import MiniBatch, Sample, TrainingGroup

PLAIN = Shaping()


def make_mini_batches(
    training_groups: Sequence[TrainingGroup],
    advantages_BG: Sequence[Sequence[float]],
    *,
    mini_batch: int,
    keep_all: bool = False,
    shaping: Shaping = PLAIN,
) -> list[MiniBatch]:
    """Cut a step's groups into mini-batches of `mini_batch` prompts, in order.

    Responses of advantage 0 are dropped, which saves their backward pass, but count in the divisor.
    A mini-batch of which nothing is left gets one response of advantage 0: every rank needs
    something to pass through the model.

    Args:
        training_groups: the groups with their rewards.
        advantages_BG: (B, G).
        mini_batch: prompts per optimizer update.
        keep_all: keep responses of advantage 0, for a loss that trains on them all the same.
        shaping: what it leaves out or masks does not count in the divisor either.
    """
    pairs = list(zip(training_groups, advantages_BG, strict=True))
    return [
        _mini_batch(pairs[start : start + mini_batch], keep_all=keep_all, shaping=shaping)
        for start in range(0, len(pairs), mini_batch)
    ]


def _mini_batch(
    pairs: Sequence[tuple[TrainingGroup, Sequence[float]]], *, keep_all: bool, shaping: Shaping
) -> MiniBatch:
    samples = [sample for group, row in pairs for sample in _samples(group, row, shaping)]
    counted = [sample for sample in samples if sample.counted]
    moving = [sample for sample in counted if keep_all or sample.advantage != 0.0]
    return MiniBatch(
        samples=moving or [replace((counted or samples)[0], advantage=0.0)],
        response_tokens=sum(len(sample.response_ids) for sample in counted),
        responses=len(counted),
    )


def _samples(group: TrainingGroup, advantages_G: Sequence[float], shaping: Shaping) -> list[Sample]:
    left_out = shaping.leaves_out(group)
    return [
        Sample(
            key=(rollout.prompt_id, rollout.sample),
            prompt_ids=group.group.prompt.token_ids,
            response_ids=rollout.token_ids,
            sampler_logprobs=rollout.logprobs,
            advantage=advantage,
            counted=not (left_out or shaping.masks(rollout)),
        )
        for rollout, advantage in zip(group.group.rollouts, advantages_G, strict=True)
    ]
