"""Sampler mismatch: how far the trainer's and the sampler's probabilities differ, per token.

These are metrics; no loss uses them.

Shapes: R response tokens.
"""

from __future__ import annotations

import torch


def mismatch_metrics(
    old_R: torch.Tensor,
    sampler_R: torch.Tensor,
    *,
    importance_R: torch.Tensor,
    truncated_R: torch.Tensor,
) -> dict[str, torch.Tensor]:
    """Name -> (R,), to be summed over the tokens that count.

    Args:
        old_R: log-probabilities by the trainer, of the policy that generated.
        sampler_R: log-probabilities by the engine.
        importance_R: the importance weights that the loss used.
        truncated_R: where a weight was truncated.
    """
    log_ratio_R = old_R - sampler_R
    return {
        "sampler_gap": log_ratio_R.abs(),
        "sampler_kl": log_ratio_R.exp() - 1 - log_ratio_R,
        "sampler_ratio": importance_R,
        "sampler_ratio_squared": importance_R.square(),
        "sampler_truncated": truncated_R,
        **_probabilities(old_R, sampler_R),
    }


def _probabilities(old_R: torch.Tensor, sampler_R: torch.Tensor) -> dict[str, torch.Tensor]:
    """Terms of Pearson's correlation of the two; float64, because it subtracts squares."""
    trainer_R, sampler_R = old_R.double().exp(), sampler_R.double().exp()
    return {
        "trainer_prob": trainer_R,
        "sampler_prob": sampler_R,
        "trainer_prob_squared": trainer_R.square(),
        "sampler_prob_squared": sampler_R.square(),
        "prob_product": trainer_R * sampler_R,
    }
