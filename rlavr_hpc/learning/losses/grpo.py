"""GRPO, and with other bounds DAPO: a clipped policy gradient, averaged over tokens.

Shapes: R response tokens of a micro-batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rlavr_hpc.learning.loss import RatioLoss


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpoLoss(RatioLoss):
    """Clipped policy gradient, averaged over the tokens of the whole update.

    `objective = min(r A, clip(r, 1 - low, 1 + high) A)`, r = pi / pi_old (GRPO, arXiv 2402.03300,
    eq. 3; two bounds and one divisor per update as in DAPO, arXiv 2503.14476, eq. 8).
    """

    clip_low: float = 0.2
    clip_high: float = 0.2

    def check(self) -> None:
        """Check the bounds."""
        if not (0 < self.clip_low <= 1 and self.clip_high > 0):
            raise ValueError("clip_low must be in (0, 1] and clip_high above 0")

    def objective(
        self, logp_R: torch.Tensor, ratio_R: torch.Tensor, advantage_R: torch.Tensor
    ) -> torch.Tensor:
        """(R,) the smaller of the unclipped and the clipped objective."""
        clipped_R = ratio_R.clamp(1 - self.clip_low, 1 + self.clip_high)
        return torch.minimum(ratio_R * advantage_R, clipped_R * advantage_R)

    def clipped(
        self, ratio_R: torch.Tensor, advantage_R: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(R,) each: where the clipped objective is the smaller one."""
        low_R = (ratio_R < 1 - self.clip_low) & (advantage_R < 0)
        high_R = (ratio_R > 1 + self.clip_high) & (advantage_R > 0)
        return low_R, high_R
