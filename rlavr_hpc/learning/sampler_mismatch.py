"""How far trainer and sampler are apart, token by token; figures for the record alone.

Shapes: R response tokens.
"""

from __future__ import annotations

import torch


def mismatch_metrics(
    old_R: torch.Tensor, sampler_R: torch.Tensor, *, trust_R: torch.Tensor, cut_R: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Name -> (R,), to be summed over counted tokens.

    Args:
        old_R: the trainer's log-probabilities of the policy that generated.
        sampler_R: the engine's.
        trust_R: the importance weight that the loss used.
        cut_R: where that weight was cut.
    """
    gap_R = old_R - sampler_R
    return {
        "sampler_gap": gap_R.abs(),
        "sampler_kl": gap_R.exp() - 1 - gap_R,
        "sampler_ratio": trust_R,
        "sampler_ratio_squared": trust_R.square(),
        "sampler_truncated": cut_R,
        **_probabilities(old_R, sampler_R),
    }


def _probabilities(old_R: torch.Tensor, sampler_R: torch.Tensor) -> dict[str, torch.Tensor]:
    """What Pearson's correlation of the two is made of; float64, because it subtracts squares."""
    trainer_R, sampler_R = old_R.double().exp(), sampler_R.double().exp()
    return {
        "trainer_prob": trainer_R,
        "sampler_prob": sampler_R,
        "trainer_prob_squared": trainer_R.square(),
        "sampler_prob_squared": sampler_R.square(),
        "prob_product": trainer_R * sampler_R,
    }
