"""From signals to the optimizer's batches, dealt evenly to ranks and micro-batches.

Under ZeRO-3 every rank must run the same number of forward passes, or the gathers of parameters
deadlock; so the shares are padded with samples of advantage 0.
"""

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


def deal(
    samples: Sequence[Sample], *, ranks: int, micro_batch: int
) -> list[list[list[tuple[Sample, bool]]]]:
    """Deal samples to ranks and micro-batches: `[rank][micro-batch]` -> (sample, is padding).

    The same samples are always dealt the same way, so what one rank has learnt of a sample it finds
    again by the sample's key. Samples of like length meet in a micro-batch, so that little is
    padded; lengths are spread evenly over the ranks; every rank gets the same number of
    micro-batches. Padding samples are repeated ones: they neither move the weights nor count.
    """
    order = sorted(samples, key=lambda s: -(len(s.prompt_ids) + len(s.response_ids)))
    shares = [list(order[rank::ranks]) for rank in range(ranks)]
    size = len(shares[0])
    padded = [
        [(s, False) for s in share] + [(order[-1], True)] * (size - len(share)) for share in shares
    ]
    return [[share[i : i + micro_batch] for i in range(0, size, micro_batch)] for share in padded]
