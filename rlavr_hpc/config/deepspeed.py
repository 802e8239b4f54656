"""Config group `deepspeed`: ZeRO-3, and what may move to host memory."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rlavr_hpc.errors import UserError


class Offload(StrEnum):
    """Where ZeRO-3 keeps a kind of state between uses."""

    none = "none"
    """In the GPU's memory."""
    cpu = "cpu"
    """In host memory."""


@dataclass(slots=True, kw_only=True)
class DeepspeedConfig:
    """ZeRO-3 (always), and what may move to host memory."""

    offload_optimizer: Offload = Offload.none
    """Where optimizer states and fp32 weights are kept; with cpu the update runs there too."""
    offload_params: Offload = Offload.none
    """Where this rank's shard of the parameters is kept."""
    offload_states: bool = False
    """Whether optimizer states, fp32 weights and gradient buffers move to host memory while
    responses are generated, and back for the update; changes no results."""
    gradient_checkpointing: bool | None = None
    """Whether activations are recomputed in the backward pass instead of kept: slower, less
    memory; null = where the plan needs it to fit."""
    persistence_threshold: int = 10_000
    """Parameters with fewer elements than this are kept whole on every rank."""

    def __post_init__(self) -> None:
        """Check fields against each other."""
        for key in ("offload_optimizer", "offload_params"):
            if self.offload_states and getattr(self, key) is not Offload.none:
                raise UserError(
                    f"deepspeed.offload_states=true moves to host memory what deepspeed.{key}="
                    f"{getattr(self, key)} keeps there already; use one of them"
                )
