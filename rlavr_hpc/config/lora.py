"""Config group `lora`: train small adapters (arXiv 2106.09685) instead of all weights."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from rlavr_hpc.errors import UserError

ALL_LINEAR = "all-linear"


@dataclass(slots=True, kw_only=True)
class LoraConfig:
    """LoRA: a layer's weight W becomes W + alpha/rank * B A; A and B are trained, W is not.

    There is no dropout: log-probabilities of the same policy would differ from pass to pass.
    """

    rank: int = 0
    """Rank of an adapter; 0 = no adapters, all weights are trained."""
    alpha: float = 32.0
    """Scale of an adapter: it is multiplied by alpha / rank."""
    targets: list[str] = field(default_factory=lambda: [ALL_LINEAR])
    """Names, or ends of names, of the linear layers with adapters; all-linear = all but the
    head."""

    def __post_init__(self) -> None:
        """Check ranges and names."""
        if self.rank < 0:
            raise UserError(f"lora.rank={self.rank} must be at least 0; 0 trains all weights")
        if not 0 < self.alpha < math.inf:
            raise UserError(f"lora.alpha={self.alpha} must be above 0")
        if not self.targets or not all(name.strip() for name in self.targets):
            raise UserError(
                f"lora.targets={self.targets} names no layers; e.g. lora.targets=[q_proj,v_proj], "
                f"or [{ALL_LINEAR}]"
            )
        if ALL_LINEAR in self.targets and len(self.targets) > 1:
            raise UserError(
                f"lora.targets={self.targets}: {ALL_LINEAR} leaves nothing to name beside it"
            )
