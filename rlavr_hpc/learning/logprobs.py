"""Log-probabilities and entropies of tokens, in chunks: no [tokens, vocabulary] tensor at once.

Shapes: R response tokens, D hidden size, V vocabulary, C tokens of one chunk.
"""

from __future__ import annotations

import math
from typing import Any

import torch


class ChunkedLogProbs(torch.autograd.Function):
    """log softmax(h @ W.T / temperature)[target] per token; logits are recomputed in backward.

    Sums run in float32 whatever the weights are: rounding partial sums to bfloat16 biases the
    entropy downwards.
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        hidden_RD: torch.Tensor,
        weight_VD: torch.Tensor,
        target_R: torch.Tensor,
        temperature: float,
        chunk: int,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Float32 log-probabilities (R,), differentiable, and entropies (R,), not so."""
        ctx.save_for_backward(hidden_RD, weight_VD, target_R)
        ctx.temperature, ctx.chunk = temperature, chunk
        parts = [
            _score(h, weight_VD, t, temperature)
            for h, t in zip(hidden_RD.split(chunk), target_R.split(chunk), strict=True)
        ]
        logp_R, entropy_R = (torch.cat(column) for column in zip(*parts, strict=True))
        ctx.mark_non_differentiable(entropy_R)
        return logp_R, entropy_R

    @staticmethod
    def backward(
        ctx: Any,  # noqa: ANN401
        grad_logp_R: torch.Tensor,
        _grad_entropy: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor | None, None, None, None]:
        """Gradients of `hidden_RD`, and of `weight_VD` where it is trained."""
        hidden_RD, weight_VD, target_R = ctx.saved_tensors
        grad_hidden_RD = torch.empty_like(hidden_RD)
        trained = ctx.needs_input_grad[1]  # not where only adapters are trained
        grad_weight_VD = torch.zeros_like(weight_VD, dtype=torch.float32) if trained else None
        for start in range(0, len(target_R), ctx.chunk):
            rows = slice(start, start + ctx.chunk)
            logits_CV = _logits(hidden_RD[rows], weight_VD, ctx.temperature)
            grad_CV = logits_CV.softmax(-1).neg_()
            grad_CV[torch.arange(len(grad_CV), device=grad_CV.device), target_R[rows]] += 1.0
            grad_CV *= (grad_logp_R[rows] / ctx.temperature).unsqueeze(-1)
            grad_CV = grad_CV.to(weight_VD.dtype)
            grad_hidden_RD[rows] = grad_CV @ weight_VD
            if grad_weight_VD is not None:
                grad_weight_VD += (grad_CV.T @ hidden_RD[rows]).float()
        if grad_weight_VD is not None:
            grad_weight_VD = grad_weight_VD.to(weight_VD.dtype)
        return grad_hidden_RD, grad_weight_VD, None, None, None


def _logits(hidden_CD: torch.Tensor, weight_VD: torch.Tensor, temperature: float) -> torch.Tensor:
    logits_CV = (hidden_CD @ weight_VD.T).float()
    return logits_CV if temperature == 1 else logits_CV / temperature


def _score(
    hidden_CD: torch.Tensor, weight_VD: torch.Tensor, target_C: torch.Tensor, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    logp_C, entropy_C, _ = _logp_entropy_norm(_logits(hidden_CD, weight_VD, temperature), target_C)
    return logp_C, entropy_C


def _logp_entropy_norm(
    logits_CV: torch.Tensor, target_C: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Log-probability of the target, entropy, and the logarithm of the sum of exponentials."""
    norm_C = logits_CV.logsumexp(-1)
    logp_C = logits_CV.gather(-1, target_C.unsqueeze(-1)).squeeze(-1) - norm_C
    shifted_CV = logits_CV - norm_C.unsqueeze(-1)
    entropy_C = norm_C - shifted_CV.exp_().mul_(logits_CV).sum(-1)
    return logp_C, entropy_C, norm_C


@torch.no_grad()
def token_scores(
    hidden_RD: torch.Tensor,
    weight_VD: torch.Tensor,
    target_R: torch.Tensor,
    *,
    temperature: float,
    chunk: int,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The outputs of `token_logprobs`, and the self-certainty KL(uniform || p), of the same logits.

    KL(U||p) = -log V - mean(log p) = logsumexp(z) - mean(z) - log V for logits z.

    Args:
        hidden_RD: hidden states that predict the targets.
        weight_VD: the language-model head.
        target_R: token ids.
        temperature: divides the logits, as in sampling.
        chunk: tokens whose logits exist at once.

    Returns:
        (R,) each: log-probabilities, entropies and certainties in nats, not differentiable.
    """
    parts = []
    for hidden_CD, target_C in zip(hidden_RD.split(chunk), target_R.split(chunk), strict=True):
        logits_CV = _logits(hidden_CD, weight_VD, temperature)
        logp_C, entropy_C, norm_C = _logp_entropy_norm(logits_CV, target_C)
        parts.append((logp_C, entropy_C, norm_C - logits_CV.mean(-1)))
    logp_R, entropy_R, offset_R = (torch.cat(column) for column in zip(*parts, strict=True))
    return logp_R, entropy_R, offset_R - math.log(weight_VD.shape[0])


def token_logprobs(
    hidden_RD: torch.Tensor,
    weight_VD: torch.Tensor,
    target_R: torch.Tensor,
    *,
    temperature: float,
    chunk: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probability and entropy of each target token.

    Args:
        hidden_RD: hidden states that predict the targets.
        weight_VD: the language-model head.
        target_R: token ids.
        temperature: divides the logits, as in sampling.
        chunk: tokens whose logits exist at once.

    Returns:
        (R,) log-probabilities, differentiable, and (R,) entropies in nats, not differentiable.
    """
    logp_R, entropy_R = ChunkedLogProbs.apply(  # type: ignore[no-untyped-call]
        hidden_RD, weight_VD, target_R, temperature, chunk
    )
    return logp_R, entropy_R
