"""From signals to the optimizer's batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rlavr_hpc.learning.advantages import group_advantages
from rlavr_hpc.types import MiniBatch, Sample, Signal


def make_mini_batches(
    signals: Sequence[Signal], *, mini_batch: int, keep_all: bool = False
) -> list[MiniBatch]:
    """Cut a step's signals into mini-batches of that many prompts, in order.

    Responses of advantage 0 are left out, they cost no backward pass; `keep_all` keeps them for a
    loss that moves them all the same.
    """
    return [
        _mini_batch(signals[start : start + mini_batch], keep_all=keep_all)
        for start in range(0, len(signals), mini_batch)
    ]


def _mini_batch(signals: Sequence[Signal], *, keep_all: bool) -> MiniBatch:
    samples = [sample for signal in signals for sample in _samples(signal)]
    moving = [sample for sample in samples if keep_all or sample.advantage != 0.0]
    return MiniBatch(
        samples=moving or [replace(samples[0], advantage=0.0)],
        response_tokens=sum(signal.group.tokens for signal in signals),
        responses=sum(len(signal.group.rollouts) for signal in signals),
    )


def _samples(signal: Signal) -> list[Sample]:
    advantages_G = group_advantages(signal.rewards)
    return [
        Sample(
            key=(rollout.prompt_id, rollout.sample),
            prompt_ids=signal.group.prompt.token_ids,
            response_ids=rollout.token_ids,
            sampler_logprobs=rollout.logprobs,
            advantage=signal.weight * advantage,
        )
        for rollout, advantage in zip(signal.group.rollouts, advantages_G, strict=True)
    ]
