"""CISPO: the weight is clipped, not the token; every token keeps its gradient.

Shapes: R response tokens of a micro-batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rlavr_hpc.learning.loss import GrpoLoss


@dataclass(frozen=True, slots=True, kw_only=True)
class CispoLoss(GrpoLoss):
    """`gain = sg(clip(r, 1 - low, 1 + high)) A log pi`, averaged over the tokens of the update.

    CISPO, arXiv 2506.13585, eqs. 4 and 5; sg holds its argument constant. The paper sets no lower
    bound (`clip_low` 1, as no ratio is below 0) and does not tell its upper one.
    """

    clip_low: float = 1.0
    clip_high: float = 4.0

    def gain(
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
