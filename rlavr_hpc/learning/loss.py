"""The policy loss over a flat vector of response tokens.

Shapes: R response tokens of a micro-batch. Every figure leaves as a sum over tokens; the divisor is
that of the whole optimizer update over all ranks, so that neither micro-batches nor ranks change
the loss.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import torch


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


@dataclass(frozen=True, slots=True)
class GrpoLoss:
    """Clipped policy gradient with truncated importance sampling against the sampler.

    `- min(w, cap) * min(r A, clip(r, 1 - low, 1 + high) A)` with r = pi / pi_old and
    w = pi_old / pi_sampler, held constant (TIS; clip-higher as in DAPO, arXiv 2503.14476).
    """

    clip_low: float = 0.2
    clip_high: float = 0.2
    sampler_ratio_cap: float | None = 2.0
    kl_coef: float = 0.0
    """Weight of KL(policy || reference), estimated by exp(d) - d - 1, d = log ref - log pi (k3)."""

    @property
    def needs_reference(self) -> bool:
        """Only when the KL term has a weight."""
        return self.kl_coef > 0

    def __post_init__(self) -> None:
        """Check ranges."""
        if self.kl_coef < 0:
            raise ValueError("kl_coef must not be negative")
        if not (0 < self.clip_low <= 1 and self.clip_high > 0):
            raise ValueError("clip_low must be in (0, 1] and clip_high above 0")
        if self.sampler_ratio_cap is not None and self.sampler_ratio_cap < 1:
            raise ValueError("sampler_ratio_cap must be at least 1, or null")

    def __call__(self, logp_R: torch.Tensor, tokens: TokenBatch) -> LossSums:
        """The loss summed over tokens."""
        old_R = logp_R.detach() if tokens.old_logp_R is None else tokens.old_logp_R
        ratio_R = (logp_R - old_R).exp()
        trust_R = self._sampler_ratio(old_R, tokens.sampler_logp_R)
        advantage_R = tokens.advantage_R
        clipped_R = ratio_R.clamp(1 - self.clip_low, 1 + self.clip_high)
        gain_R = trust_R * torch.minimum(ratio_R * advantage_R, clipped_R * advantage_R)
        with torch.no_grad():
            low_R = (ratio_R < 1 - self.clip_low) & (advantage_R < 0)
            high_R = (ratio_R > 1 + self.clip_high) & (advantage_R > 0)
            stats = {
                "clip_low": low_R,
                "clip_high": high_R,
                "update_kl": (ratio_R - 1) - (logp_R - old_R),
                **self._mismatch(old_R, tokens.sampler_logp_R, trust_R),
            }
            sums = {name: (value * tokens.counted_R).sum() for name, value in stats.items()}
            sums["tokens"] = tokens.counted_R.sum()
            padding_R = tokens.counted_R == 0
            largest = {
                name: value.masked_fill(padding_R, float("-inf")).amax()
                for name, value in (("ratio", ratio_R), ("sampler_gap", stats["sampler_gap"]))
            }
        loss = -gain_R.sum()
        if tokens.reference_logp_R is not None:
            gap_R = tokens.reference_logp_R - logp_R
            kl = ((gap_R.exp() - gap_R - 1) * tokens.counted_R).sum()
            sums["reference_kl"] = kl.detach()
            loss = loss + self.kl_coef * kl
        return LossSums(loss=loss, stats=sums, largest=largest)

    def _sampler_ratio(self, old_R: torch.Tensor, sampler_R: torch.Tensor) -> torch.Tensor:
        if self.sampler_ratio_cap is None:
            return torch.ones_like(old_R)
        return (old_R - sampler_R).exp().clamp(max=self.sampler_ratio_cap)

    def _mismatch(
        self, old_R: torch.Tensor, sampler_R: torch.Tensor, trust_R: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        gap_R = old_R - sampler_R
        cap = self.sampler_ratio_cap if self.sampler_ratio_cap is not None else float("inf")
        return {
            "sampler_gap": gap_R.abs(),
            "sampler_kl": gap_R.exp() - 1 - gap_R,
            "sampler_ratio": trust_R,
            "sampler_ratio_squared": trust_R.square(),
            "sampler_truncated": gap_R.exp() > cap,
            **_probabilities(old_R, sampler_R),
        }


def _probabilities(old_R: torch.Tensor, sampler_R: torch.Tensor) -> dict[str, torch.Tensor]:
    """What Pearson's correlation of the two is made of; float64, because it subtracts squares."""
    trainer_R, sampler_R = old_R.double().exp(), sampler_R.double().exp()
    return {
        "trainer_prob": trainer_R,
        "sampler_prob": sampler_R,
        "trainer_prob_squared": trainer_R.square(),
        "sampler_prob_squared": sampler_R.square(),
        "prob_product": trainer_R * sampler_R,
    }
