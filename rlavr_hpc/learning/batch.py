"""From signals to the optimizer's batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rlavr_hpc.learning.reward_shaping import Shaping
from rlavr_hpc.types import MiniBatch, Sample, TrainingGroup

PLAIN = Shaping()


def make_mini_batches(
    signals: Sequence[TrainingGroup],
    *,
    mini_batch: int,
    keep_all: bool = False,
    shaping: Shaping = PLAIN,
) -> list[MiniBatch]:
    """Cut a step's signals into mini-batches of that many prompts, in order.

    Responses of advantage 0 are dropped, they cost no backward pass, but count in the divisor;
    `keep_all` keeps them for a loss that moves them all the same. What `shaping` leaves out does
    not count either. A mini-batch that nothing is left of gets one response that moves nothing:
    every rank must have something to pass.
    """
    return [
        _mini_batch(signals[start : start + mini_batch], keep_all=keep_all, shaping=shaping)
        for start in range(0, len(signals), mini_batch)
    ]


def _mini_batch(signals: Sequence[TrainingGroup], *, keep_all: bool, shaping: Shaping) -> MiniBatch:
    everyone = [sample for signal in signals for sample in _samples(signal, shaping)]
    counted = [sample for sample in everyone if sample.counted]
    moving = [sample for sample in counted if keep_all or sample.advantage != 0.0]
    return MiniBatch(
        samples=moving or [replace((counted or everyone)[0], advantage=0.0)],
        response_tokens=sum(len(sample.response_ids) for sample in counted),
        responses=len(counted),
    )


def _samples(signal: TrainingGroup, shaping: Shaping) -> list[Sample]:
    passed_over = shaping.passes_over(signal)
    return [
        Sample(
            key=(rollout.prompt_id, rollout.sample),
            prompt_ids=signal.group.prompt.token_ids,
            response_ids=rollout.token_ids,
            sampler_logprobs=rollout.logprobs,
            advantage=advantage,
            counted=not (passed_over or shaping.masks(rollout)),
        )
        for rollout, advantage in zip(
            signal.group.rollouts, shaping.advantages(signal), strict=True
        )
    ]
