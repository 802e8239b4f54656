"""Config group `algorithm`: the batch, the advantages, the loss, the optimizer."""

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
    """With flash attention, which keeps packed sequences apart; other kinds do not."""
    on = "on"
    """Always."""
    off = "off"
    """Never: sequences are padded."""


class Advantage(StrEnum):
    """How rewards r of a group become advantages."""

    normalized = "normalized"
    """(r - mean) / population standard deviation (GRPO, arXiv 2402.03300, section 4.1.2)."""
    centred = "centred"
    """r - mean (Dr. GRPO, arXiv 2503.20783, section 3.2)."""
    leave_one_out = "leave_one_out"
    """r - mean of the others (RLOO, arXiv 2402.14740)."""


class LeaveOut(StrEnum):
    """Which prompts whose responses all earn the same are left out of the update's divisor."""

    none = "none"
    """No prompt."""
    all_right = "all_right"
    """All responses earn the same reward above 0: all correct, or a unanimous vote."""
    all_wrong = "all_wrong"
    """All responses earn 0: all wrong, or no vote."""
    flat = "flat"
    """Both of these."""


@dataclass(slots=True, kw_only=True)
class OverlongConfig:
    """Responses that come near the limit on their length (DAPO, arXiv 2503.14476, section 3.4)."""

    mask: bool = False
    """Whether responses that were cut off at the length limit are left out of the update."""
    buffer: float = 0.0
    """Length of the penalty zone before the limit, as a share of `rollout.max_response_tokens`, 0
    to 1; 0 = no penalty."""
    penalty: float = 1.0
    """Reward taken from a response as long as the limit; it grows linearly inside the buffer."""

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
    """B, prompts per step."""
    group_size: int = 8
    """G, responses per prompt."""
    mini_batch: int | None = None
    """Prompts per optimizer update; must divide `batch`; null = `batch`, one update per step."""
    micro_batch: int | None = None
    """Responses per forward pass and rank; changes memory and speed, not results; null =
    `micro_tokens` decides."""
    micro_tokens: int | None = None
    """Tokens per forward pass and rank, with padding, instead of `micro_batch`; ranks are balanced
    by tokens. A longer response gets a pass of its own. Null for both = as many as the plan finds
    room for at the run's first start."""
    packing: Packing = Packing.auto
    """Whether a micro-batch is one row without padding."""
    advantage: Advantage = Advantage.normalized
    """How the rewards r of a prompt's responses become advantages."""
    oversample: int = 1
    """k of dynamic sampling: responses are generated for k B prompts, and the step continues with B
    whose votes are split; 1 = off."""
    leave_out: LeaveOut = LeaveOut.none
    """Which prompts whose responses all earn the same do not count in the loss's average."""
    overlong: OverlongConfig = field(default_factory=OverlongConfig)
    loss: PluginConfig = field(default_factory=PluginConfig)
    lr: float = 1e-6
    """Learning rate of AdamW."""
    weight_decay: float = 0.0
    """Weight decay of AdamW."""
    beta1: float = 0.9
    """AdamW's decay of the gradient's running mean."""
    beta2: float = 0.999
    """AdamW's decay of the squared gradient's running mean."""
    warmup_steps: int = 0
    """Steps over which the learning rate rises linearly from 0."""
    clip_grad: float = 1.0
    """Largest norm of a gradient."""
    logit_chunk: int = 4096
    """Tokens whose logits are in memory at once; fewer need less memory."""

    @property
    def drawn(self) -> int:
        """Prompts that responses are drawn for in a step."""
        return self.batch * self.oversample

    @property
    def prompts_per_update(self) -> int:
        """`mini_batch` with what null stands for."""
        return self.batch if self.mini_batch is None else self.mini_batch

    @property
    def derives_passes(self) -> bool:
        """Whether the size of a forward pass is left to the plan."""
        return self.micro_batch is None and self.micro_tokens is None

    def __post_init__(self) -> None:
        """Check ranges and divisibility; an unset `mini_batch` becomes `batch`."""
        for name in ("batch", "mini_batch", "micro_batch", "micro_tokens", "logit_chunk"):
            value = getattr(self, name)
            at_least(f"algorithm.{name}", 1 if value is None else value, 1)
        at_least("algorithm.group_size", self.group_size, 2)
        at_least("algorithm.oversample", self.oversample, 1)
        at_least("algorithm.warmup_steps", self.warmup_steps, 0)
        self.mini_batch = self.prompts_per_update
        if self.batch % self.mini_batch:
            raise UserError(
                f"algorithm.mini_batch={self.mini_batch} does not divide algorithm.batch="
                f"{self.batch}; leave mini_batch out for one update per step, or give a divisor"
            )
        for name in ("lr", "clip_grad"):
            if not 0 < getattr(self, name) < math.inf:
                raise UserError(f"algorithm.{name}={getattr(self, name)} must be above 0")
        if not 0 <= self.weight_decay < math.inf:
            raise UserError(f"algorithm.weight_decay={self.weight_decay} must not be negative")
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"algorithm.{name}={getattr(self, name)} is outside [0, 1)")
