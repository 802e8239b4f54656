"""An optimizer update's figures, made by the loss itself."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import torch

from rlavr_hpc.learning.loss import TokenBatch
from rlavr_hpc.learning.losses.grpo import GrpoLoss
from rlavr_hpc.telemetry.step_metrics import Update


def update_of(
    sampler: Sequence[float], trainer: Sequence[float], counted: Sequence[float]
) -> Update:
    """An update whose tokens had these probabilities, the policy's now twice the trainer's."""
    sampler_R, trainer_R = torch.tensor(sampler).log(), torch.tensor(trainer).log()
    tokens = TokenBatch(
        advantage_R=torch.zeros(len(sampler)),
        sampler_logp_R=sampler_R,
        old_logp_R=trainer_R,
        loss_mask_R=torch.tensor(counted),
        lengths_N=torch.tensor([len(sampler)]),
    )
    result = GrpoLoss()(trainer_R + log(2), tokens)
    sums = {name: float(value) for name, value in result.stats.items()}
    largest = {name: float(value) for name, value in result.largest.items()}
    return Update(
        sums={**sums, "loss": 0.0}, largest=largest, grad_norm=1.0, lr=3e-4, rank_tokens=(30, 10)
    )
