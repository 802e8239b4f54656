"""The group `algorithm` of a run's config: the batch, the advantages, the loss, the optimizer."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum

from rlavr_hpc.config.checks import at_least
from rlavr_hpc.config.plugin import PluginConfig
from rlavr_hpc.errors import UserError


class Packing(StrEnum):
    """Whether a micro-batch is one row without padding."""

    auto = "auto"
    """With flash attention, which skips what lies between sequences; other kinds would not."""
    on = "on"
    off = "off"


class Advantage(StrEnum):
    """How rewards r of a group become advantages."""

    normalized = "normalized"
    """(r - mean) / population standard deviation: GRPO, arXiv 2402.03300, section 4.1.2."""
    centred = "centred"
    """r - mean: Dr. GRPO, arXiv 2503.20783, section 3.2."""
    leave_one_out = "leave_one_out"
    """r - mean of the others: RLOO, arXiv 2402.14740."""


class LeaveOut(StrEnum):
    """Which prompts whose responses all earn the same are left out of the update's divisor."""

    none = "none"
    all_right = "all_right"
    """They earn something: all right by the label, or unanimous."""
    all_wrong = "all_wrong"
    """They earn nothing: all wrong by the label, or without a vote."""
    flat = "flat"
    """Both."""


@dataclass(slots=True, kw_only=True)
class OverlongConfig:
    """Responses that come near the limit on their length (DAPO, arXiv 2503.14476, section 3.4)."""

    mask: bool = False
    """Responses that the limit ended are left out of the update."""
    buffer: float = 0.0
    """L_cache, as a share of `rollout.max_response_tokens`; 0 = no penalty."""
    penalty: float = 1.0
    """Taken from the reward of a response as long as the limit; less inside the buffer."""

    def __post_init__(self) -> None:
        """Check ranges."""
        if not 0 <= self.buffer < 1:
            raise UserError(
                f"algorithm.overlong.buffer={self.buffer} is outside [0, 1): it is a share of "
                "rollout.max_response_tokens, e.g. 0.2"
            )
        if not 0 < self.penalty < math.inf:
            raise UserError(
                f"algorithm.overlong.penalty={self.penalty} must be above 0; for no penalty set "
                "algorithm.overlong.buffer=0"
            )


@dataclass(slots=True, kw_only=True)
class AlgorithmConfig:
    """The batch, the advantages, the loss and the optimizer."""

    batch: int = 64
    """B, prompts a step."""
    group_size: int = 8
    """G, rollouts a prompt."""
    mini_batch: int = 64
    """Prompts per optimizer update."""
    micro_batch: int = 64
    """Responses per forward pass and rank."""
    micro_tokens: int | None = None
    """Tokens, padding included, per forward pass and rank, instead of `micro_batch`; the ranks'
    shares are balanced by tokens. A longer response has a pass of its own."""
    packing: Packing = Packing.auto
    advantage: Advantage = Advantage.normalized
    oversample: int = 1
    """k: responses are drawn for k B prompts, and the step goes on with B whose votes are split."""
    leave_out: LeaveOut = LeaveOut.none
    overlong: OverlongConfig = field(default_factory=OverlongConfig)
    loss: PluginConfig = field(default_factory=PluginConfig)
    lr: float = 1e-6
    weight_decay: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.999
    warmup_steps: int = 0
    clip_grad: float = 1.0
    logit_chunk: int = 4096
    """Tokens whose logits exist at once."""

    @property
    def drawn(self) -> int:
        """Prompts that responses are drawn for in a step."""
        return self.batch * self.oversample

    def __post_init__(self) -> None:
        """Check ranges and divisibility."""
        for name in ("batch", "mini_batch", "micro_batch", "micro_tokens", "logit_chunk"):
            value = getattr(self, name)
            at_least(f"algorithm.{name}", 1 if value is None else value, 1)
        at_least("algorithm.group_size", self.group_size, 2)
        at_least("algorithm.oversample", self.oversample, 1)
        at_least("algorithm.warmup_steps", self.warmup_steps, 0)
        if self.batch % self.mini_batch:
            raise UserError(
                f"algorithm.mini_batch={self.mini_batch} does not divide algorithm.batch="
                f"{self.batch}"
            )
        for name in ("lr", "clip_grad"):
            if not 0 < getattr(self, name) < math.inf:
                raise UserError(f"algorithm.{name}={getattr(self, name)} must be above 0")
        if not 0 <= self.weight_decay < math.inf:
            raise UserError(f"algorithm.weight_decay={self.weight_decay} must not be negative")
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"algorithm.{name}={getattr(self, name)} is outside [0, 1)")
