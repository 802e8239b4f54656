"""GSPO: one ratio per response instead of one per token.

Shapes: R response tokens of a micro-batch, N responses.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rlavr_hpc.learning.loss import TokenBatch
from rlavr_hpc.learning.losses.grpo import GrpoLoss
from rlavr_hpc.training_types import MiniBatch


@dataclass(frozen=True, slots=True, kw_only=True)
class GspoLoss(GrpoLoss):
    """The clipped objective of whole responses, averaged over the responses of the update.

    GSPO, arXiv 2507.18071, eqs. 5 and 7: `min(s A, clip(s, 1 - low, 1 + high) A)` with
    s = exp(mean over the response's tokens of log pi - log pi_old); the gradient goes through s.
    It is computed as GSPO-token (eq. 13), the same where all tokens of a response share one
    advantage, as here: each token's own gradient, and no sum over tokens in the backward pass.
    The weight against the sampler is the response's too; so is the KL term, a mean over its tokens.
    """

    clip_low: float = 3e-4
    clip_high: float = 4e-4

    def divisor(self, mini_batch: MiniBatch) -> int:
        """All responses."""
        return mini_batch.responses

    def aggregate(self, log_ratio_R: torch.Tensor, tokens: TokenBatch) -> torch.Tensor:
        """(R,) the mean over each token's response, with the gradient of the token's own value."""
        own_R = log_ratio_R.detach()
        mean_N = torch.segment_reduce(own_R, "mean", lengths=tokens.lengths_N)
        return _spread(mean_N, tokens) + (log_ratio_R - own_R)

    def weight(self, values_R: torch.Tensor, tokens: TokenBatch) -> torch.Tensor:
        """(R,) values divided by the response's length, so that every response counts once."""
        return values_R / _spread(tokens.lengths_N, tokens)


def _spread(values_N: torch.Tensor, tokens: TokenBatch) -> torch.Tensor:
    """(R,) each response's value at all of its tokens."""
    size = len(tokens.advantage_R)
    return values_N.repeat_interleave(tokens.lengths_N, output_size=size)
