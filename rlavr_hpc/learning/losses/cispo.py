"""CISPO: the importance weight is clipped, and every token keeps its gradient.

Shapes: R response tokens of a micro-batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rlavr_hpc.learning.losses.grpo import GrpoLoss


@dataclass(frozen=True, slots=True, kw_only=True)
class CispoLoss(GrpoLoss):
    """`objective = sg(clip(r, 1 - low, 1 + high)) A log pi`, averaged over the update's tokens.

    CISPO, arXiv 2506.13585, eqs. 4 and 5; sg stops the gradient. The paper sets no lower bound
    (`clip_low` 1: no ratio is below 0) and does not state its upper bound.
    """

    clip_low: float = 1.0
    clip_high: float = 4.0

    def objective(
        self, logp_R: torch.Tensor, ratio_R: torch.Tensor, advantage_R: torch.Tensor
    ) -> torch.Tensor:
        """(R,) a log-likelihood, weighted."""
        weight_R = ratio_R.detach().clamp(1 - self.clip_low, 1 + self.clip_high)
        return weight_R * advantage_R * logp_R

    def clipped(
        self, ratio_R: torch.Tensor, advantage_R: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(R,) each: where the weight was clipped, whatever the advantage's sign."""
        return ratio_R < 1 - self.clip_low, ratio_R > 1 + self.clip_high
