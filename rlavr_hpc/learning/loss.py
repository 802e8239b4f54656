"""The policy loss over a flat vector of response tokens: what all losses share, and GRPO.

Shapes: R response tokens of a micro-batch, N responses, which stand one after another. Every
figure leaves as a sum; the divisor is that of the whole optimizer update over all ranks, so that
neither micro-batches nor ranks change the loss.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch

from rlavr_hpc.learning.kl import ESTIMATORS, k3
from rlavr_hpc.learning.sampler_mismatch import mismatch_metrics
from rlavr_hpc.types import MiniBatch


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenBatch:
    """What the loss needs to know about each response token."""

    advantage_R: torch.Tensor
    """The response's advantage times its trust weight; 0 for padding samples."""
    sampler_logp_R: torch.Tensor
    """From the engine that generated."""
    old_logp_R: torch.Tensor | None
    """The policy's before the step's first update; None = this is the first update."""
    counted_R: torch.Tensor
    """1 for real samples, 0 for padding ones: metrics leave padding out."""
    lengths_N: torch.Tensor
    """Tokens of each response, none of them 0: R in all. No response is cut in two."""
    reference_logp_R: torch.Tensor | None = None
    """The reference policy's, for losses that need it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LossSums:
    """Sums over the micro-batch's tokens."""

    loss: torch.Tensor
    """Differentiable scalar."""
    stats: dict[str, torch.Tensor]
    """Name -> scalar sum over counted tokens; `tokens` is their number."""
    largest: dict[str, torch.Tensor] = field(default_factory=dict)
    """Name -> scalar, the largest value of a counted token; -inf without any."""


class PolicyLoss(Protocol):
    """Turns log-probabilities into something to minimize."""

    @property
    def needs_reference(self) -> bool:
        """Whether the initial policy must be kept, and every response scored by it."""

    def __call__(self, logp_R: torch.Tensor, tokens: TokenBatch) -> LossSums:
        """The loss summed over tokens."""


@runtime_checkable
class OwnDivisor(Protocol):
    """A loss that is no mean over tokens."""

    def divisor(self, mini_batch: MiniBatch) -> int:
        """What the sum over the whole update is divided by; see `divisor_of`."""


def divisor_of(loss: PolicyLoss, mini_batch: MiniBatch) -> int:
    """What the sum over an update's micro-batches and ranks is divided by, at least 1.

    Responses that were dropped for their advantage of 0 count, those left out of the update do
    not. A loss without a `divisor` of its own is averaged over tokens.
    """
    own = loss.divisor(mini_batch) if isinstance(loss, OwnDivisor) else mini_batch.response_tokens
    return max(1, own)


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioLoss:
    """A policy gradient with truncated importance sampling against the sampler, and a KL term.

    The loss is `- w gain + kl_coef KL`, summed over tokens, with w = min(pi_old / pi_sampler, cap)
    held constant (truncated importance sampling). A loss of its own says what a token gains.
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
            raise ValueError(f"kl_estimator={self.kl_estimator!r} is none of {list(ESTIMATORS)}")
        if self.sampler_ratio_cap is not None and self.sampler_ratio_cap < 1:
            raise ValueError("sampler_ratio_cap must be at least 1, or null")
        self.check()

    def check(self) -> None:
        """Check a loss's own settings; raises ValueError."""

    @property
    def needs_reference(self) -> bool:
        """Only when the KL term has a weight."""
        return self.kl_coef > 0

    def divisor(self, mini_batch: MiniBatch) -> int:
        """All response tokens: the mean over the tokens of the update."""
        return mini_batch.response_tokens

    def level(self, values_R: torch.Tensor, tokens: TokenBatch) -> torch.Tensor:
        """(R,) logarithms of ratios, of each token by itself or of what it is part of."""
        return values_R

    def share(self, values_R: torch.Tensor, tokens: TokenBatch) -> torch.Tensor:
        """(R,) what each token adds to the sum."""
        return values_R

    def gain(
        self, logp_R: torch.Tensor, ratio_R: torch.Tensor, advantage_R: torch.Tensor
    ) -> torch.Tensor:
        """(R,) what to maximize; r = pi / pi_old carries a gradient."""
        raise NotImplementedError

    def clipped(
        self, ratio_R: torch.Tensor, advantage_R: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(R,) each: where clipping from below, and from above, took effect."""
        nowhere_R = torch.zeros_like(ratio_R)
        return nowhere_R, nowhere_R

    def __call__(self, logp_R: torch.Tensor, tokens: TokenBatch) -> LossSums:
        """The loss summed over tokens."""
        old_R = logp_R.detach() if tokens.old_logp_R is None else tokens.old_logp_R
        ratio_R = self.level(logp_R - old_R, tokens).exp()
        ahead_R = self.level(old_R - tokens.sampler_logp_R, tokens).exp()
        cap = float("inf") if self.sampler_ratio_cap is None else self.sampler_ratio_cap
        trust_R = torch.ones_like(old_R) if cap == float("inf") else ahead_R.clamp(max=cap)
        gain_R = trust_R * self.gain(logp_R, ratio_R, tokens.advantage_R)
        with torch.no_grad():
            low_R, high_R = self.clipped(ratio_R, tokens.advantage_R)
            moved_R = logp_R - old_R
            figures = mismatch_metrics(
                old_R, tokens.sampler_logp_R, trust_R=trust_R, cut_R=ahead_R > cap
            )
            stats = {
                "clip_low": low_R,
                "clip_high": high_R,
                "update_kl": moved_R.exp() - 1 - moved_R,
                **figures,
            }
            sums = {name: (value * tokens.counted_R).sum() for name, value in stats.items()}
            sums["tokens"] = tokens.counted_R.sum()
            largest = {
                name: value.masked_fill(tokens.counted_R == 0, float("-inf")).amax()
                for name, value in (("ratio", ratio_R), ("sampler_gap", stats["sampler_gap"]))
            }
        loss = -self.share(gain_R, tokens).sum()
        if tokens.reference_logp_R is not None:
            sums["reference_kl"] = self._k3(logp_R, tokens, tokens.reference_logp_R)
            loss = loss + self.kl_coef * self._kl(logp_R, tokens, tokens.reference_logp_R)
        return LossSums(loss=loss, stats=sums, largest=largest)

    def _kl(
        self, logp_R: torch.Tensor, tokens: TokenBatch, reference_R: torch.Tensor
    ) -> torch.Tensor:
        kl_R = ESTIMATORS[self.kl_estimator](logp_R, reference_R)
        return self.share(kl_R * tokens.counted_R, tokens).sum()

    @torch.no_grad()
    def _k3(
        self, logp_R: torch.Tensor, tokens: TokenBatch, reference_R: torch.Tensor
    ) -> torch.Tensor:
        """For the record, whatever is minimized: runs compare, and it is never negative."""
        return (k3(logp_R, reference_R) * tokens.counted_R).sum()


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpoLoss(RatioLoss):
    """Clipped policy gradient, averaged over the tokens of the whole update.

    `gain = min(r A, clip(r, 1 - low, 1 + high) A)`, r = pi / pi_old (GRPO, arXiv 2402.03300, eq. 3;
    two bounds and one divisor per update as in DAPO, arXiv 2503.14476, eq. 8).
    """

    clip_low: float = 0.2
    clip_high: float = 0.2

    def check(self) -> None:
        """Check the bounds."""
        if not (0 < self.clip_low <= 1 and self.clip_high > 0):
            raise ValueError("clip_low must be in (0, 1] and clip_high above 0")

    def gain(
        self, logp_R: torch.Tensor, ratio_R: torch.Tensor, advantage_R: torch.Tensor
    ) -> torch.Tensor:
        """(R,) the smaller of the plain and the clipped one."""
        clipped_R = ratio_R.clamp(1 - self.clip_low, 1 + self.clip_high)
        return torch.minimum(ratio_R * advantage_R, clipped_R * advantage_R)

    def clipped(
        self, ratio_R: torch.Tensor, advantage_R: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(R,) each: where the clipped gain is the smaller one."""
        low_R = (ratio_R < 1 - self.clip_low) & (advantage_R < 0)
        high_R = (ratio_R > 1 + self.clip_high) & (advantage_R > 0)
        return low_R, high_R
