"""RLOO: plain REINFORCE; the advantages contain its baseline.

Shapes: R response tokens of a micro-batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rlavr_hpc.learning.loss import RatioLoss
from rlavr_hpc.training_types import MiniBatch


@dataclass(frozen=True, slots=True, kw_only=True)
class RlooLoss(RatioLoss):
    """`objective = sg(r) A log pi`, summed over a response's tokens, averaged over responses.

    REINFORCE leave-one-out, arXiv 2402.14740: a response is one action, whose log-probability is
    the sum over its tokens. Belongs with `algorithm.advantage=leave_one_out`. In a step's first
    update r = 1, as in the paper; in later ones r = pi / pi_old of each token corrects for what
    the policy has moved since, without any bound: prefer one update a step.
    """

    def divisor(self, mini_batch: MiniBatch) -> int:
        """All responses."""
        return mini_batch.responses

    def objective(
        self, logp_R: torch.Tensor, ratio_R: torch.Tensor, advantage_R: torch.Tensor
    ) -> torch.Tensor:
        """(R,) a log-likelihood, weighted."""
        return ratio_R.detach() * advantage_R * logp_R
