"""The group `algorithm` of a run's config: the batch, the loss and the optimizer."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum

from rlavr_hpc.config_groups import PluginConfig, at_least
from rlavr_hpc.errors import UserError


class Packing(StrEnum):
    """Whether a micro-batch is one row without padding."""

    auto = "auto"
    """With flash attention, which skips what lies between sequences; other kinds would not."""
    on = "on"
    off = "off"


@dataclass(slots=True, kw_only=True)
class AlgorithmConfig:
    """The batch, the loss and the optimizer."""

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
    loss: PluginConfig = field(default_factory=PluginConfig)
    lr: float = 1e-6
    weight_decay: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.999
    warmup_steps: int = 0
    clip_grad: float = 1.0
    logit_chunk: int = 4096
    """Tokens whose logits exist at once."""

    def __post_init__(self) -> None:
        """Check ranges and divisibility."""
        for name in ("batch", "mini_batch", "micro_batch", "micro_tokens", "logit_chunk"):
            value = getattr(self, name)
            at_least(f"algorithm.{name}", 1 if value is None else value, 1)
        at_least("algorithm.group_size", self.group_size, 2)
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
