"""The policy loss over a flat vector of response tokens: what the losses in `losses/` share.

Shapes: R response tokens of a micro-batch; N responses, one after another in the vector. Every
result is a sum. It is divided by a figure of the whole optimizer update over all ranks, so that
neither the micro-batches nor the number of ranks changes the loss.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch

from rlavr_hpc.learning.kl import ESTIMATORS, k3
from rlavr_hpc.learning.sampler_mismatch import mismatch_metrics
from rlavr_hpc.training_types import MiniBatch


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenBatch:
    """What a loss is given about each response token."""

    advantage_R: torch.Tensor
    """The response's advantage times its trust weight; 0 for padding samples."""
    sampler_logp_R: torch.Tensor
    """Log-probability by the engine that generated the token."""
    old_logp_R: torch.Tensor | None
    """By the policy before the step's first update; None = this is the first update."""
    loss_mask_R: torch.Tensor
    """1 for tokens that count, 0 for padding samples and responses left out of the update."""
    lengths_N: torch.Tensor
    """Tokens of each response, at least 1; they add up to R. No response is split."""
    reference_logp_R: torch.Tensor | None = None
    """By the reference policy, for losses that need it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LossSums:
    """Sums over the micro-batch's tokens."""

    loss: torch.Tensor
    """Differentiable scalar."""
    stats: dict[str, torch.Tensor]
    """Name -> scalar sum over the tokens that count; `tokens` is their number."""
    largest: dict[str, torch.Tensor] = field(default_factory=dict)
    """Name -> scalar, the largest value of a token that counts; -inf without any."""


class PolicyLoss(Protocol):
    """The loss that an update minimizes, made from the policy's log-probabilities."""

    @property
    def needs_reference(self) -> bool:
        """Whether the initial policy is kept as a reference and scores every response."""

    def __call__(self, logp_R: torch.Tensor, tokens: TokenBatch) -> LossSums:
        """The loss summed over tokens."""


@runtime_checkable
class HasDivisor(Protocol):
    """A loss that is not a mean over tokens."""

    def divisor(self, mini_batch: MiniBatch) -> int:
        """Divides the sum over the whole update; see `loss_divisor`."""


def loss_divisor(loss: PolicyLoss, mini_batch: MiniBatch) -> int:
    """Divides the sum over an update's micro-batches and ranks; at least 1.

    Responses dropped because their advantage is 0 count; responses left out of the update do not.
    A loss without a `divisor` of its own is averaged over tokens.
    """
    if isinstance(loss, HasDivisor):
        return max(1, loss.divisor(mini_batch))
    return max(1, mini_batch.response_tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioLoss:
    """A policy gradient with truncated importance sampling against the sampler, and a KL term.

    The loss is `- w objective + kl_coef KL`, summed over tokens, with the importance weight
    w = min(pi_old / pi_sampler, cap), which has no gradient. A subclass defines the objective of a
    token, and may define how tokens are aggregated and weighted.
    """

    sampler_ratio_cap: float | None = 2.0
    kl_coef: float = 0.0
    """Weight of KL(policy || reference)."""
    kl_estimator: str = "k3"
    """k1, k2 or k3: see `rlavr_hpc.learning.kl`."""

    def __post_init__(self) -> None:
        """Check ranges."""
        if self.kl_coef < 0:
            raise ValueError("kl_coef must not be negative")
        if self.kl_estimator not in ESTIMATORS:
            raise ValueError(f"kl_estimator={self.kl_estimator!r} is not one of {[*ESTIMATORS]}")
        if self.sampler_ratio_cap is not None and self.sampler_ratio_cap < 1:
            raise ValueError("sampler_ratio_cap must be at least 1, or null")
        self.check()

    def check(self) -> None:
        """Check the settings of a subclass; raises ValueError."""

    @property
    def needs_reference(self) -> bool:
        """Only when the KL term has a weight."""
        return self.kl_coef > 0

    def divisor(self, mini_batch: MiniBatch) -> int:
        """All response tokens: the mean over the tokens of the update."""
        return mini_batch.response_tokens

    def aggregate(self, log_ratio_R: torch.Tensor, tokens: TokenBatch) -> torch.Tensor:
        """(R,) log-ratios per token: the token's own, or those of its response together."""
        return log_ratio_R

    def weight(self, values_R: torch.Tensor, tokens: TokenBatch) -> torch.Tensor:
        """(R,) values times each token's weight in the sum."""
        return values_R

    def objective(
        self, logp_R: torch.Tensor, ratio_R: torch.Tensor, advantage_R: torch.Tensor
    ) -> torch.Tensor:
        """(R,) what to maximize; the ratio pi / pi_old has a gradient."""
        raise NotImplementedError

    def clipped(
        self, ratio_R: torch.Tensor, advantage_R: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(R,) each: where clipping at the lower, and at the upper bound, took effect."""
        nowhere_R = torch.zeros_like(ratio_R)
        return nowhere_R, nowhere_R

    def __call__(self, logp_R: torch.Tensor, tokens: TokenBatch) -> LossSums:
        """The loss summed over tokens."""
        old_R = logp_R.detach() if tokens.old_logp_R is None else tokens.old_logp_R
        ratio_R = self.aggregate(logp_R - old_R, tokens).exp()
        sampler_ratio_R = self.aggregate(old_R - tokens.sampler_logp_R, tokens).exp()
        cap = float("inf") if self.sampler_ratio_cap is None else self.sampler_ratio_cap
        uncapped = cap == float("inf")
        importance_R = torch.ones_like(old_R) if uncapped else sampler_ratio_R.clamp(max=cap)
        objective_R = importance_R * self.objective(logp_R, ratio_R, tokens.advantage_R)
        with torch.no_grad():
            low_R, high_R = self.clipped(ratio_R, tokens.advantage_R)
            log_ratio_R = logp_R - old_R
            stats = {
                "clip_low": low_R,
                "clip_high": high_R,
                "update_kl": log_ratio_R.exp() - 1 - log_ratio_R,
                **mismatch_metrics(
                    old_R,
                    tokens.sampler_logp_R,
                    importance_R=importance_R,
                    truncated_R=sampler_ratio_R > cap,
                ),
            }
            sums = {name: (value * tokens.loss_mask_R).sum() for name, value in stats.items()}
            sums["tokens"] = tokens.loss_mask_R.sum()
            largest = {
                name: value.masked_fill(tokens.loss_mask_R == 0, float("-inf")).amax()
                for name, value in (("ratio", ratio_R), ("sampler_gap", stats["sampler_gap"]))
            }
        loss = -self.weight(objective_R, tokens).sum()
        if tokens.reference_logp_R is not None:
            sums["reference_kl"] = self._k3(logp_R, tokens, tokens.reference_logp_R)
            loss = loss + self.kl_coef * self._kl(logp_R, tokens, tokens.reference_logp_R)
        return LossSums(loss=loss, stats=sums, largest=largest)

    def _kl(
        self, logp_R: torch.Tensor, tokens: TokenBatch, reference_R: torch.Tensor
    ) -> torch.Tensor:
        kl_R = ESTIMATORS[self.kl_estimator](logp_R, reference_R)
        return self.weight(kl_R * tokens.loss_mask_R, tokens).sum()

    @torch.no_grad()
    def _k3(
        self, logp_R: torch.Tensor, tokens: TokenBatch, reference_R: torch.Tensor
    ) -> torch.Tensor:
        """For the record, whichever estimator is minimized: it is comparable and never negative."""
        return (k3(logp_R, reference_R) * tokens.loss_mask_R).sum()
