"""The group `deepspeed`: where the trainer's memory goes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rlavr_hpc.errors import UserError


class Offload(StrEnum):
    """Where ZeRO-3 keeps a kind of state between uses."""

    none = "none"
    cpu = "cpu"


@dataclass(slots=True, kw_only=True)
class DeepspeedConfig:
    """ZeRO-3, always; what may move to host memory."""

    offload_optimizer: Offload = Offload.none
    """cpu: optimizer states and fp32 weights live in host memory, and the update runs there."""
    offload_params: Offload = Offload.none
    offload_states: bool = False
    """Optimizer states, fp32 weights and gradient buffers go to host memory while responses are
    generated, and come back for the update; changes no results."""
    gradient_checkpointing: bool = False
    """Compute activations again in the backward pass instead of keeping them."""
    persistence_threshold: int = 10_000
    """Parameters smaller than this stay whole on every rank."""

    def __post_init__(self) -> None:
        """Check fields against each other."""
        for key in ("offload_optimizer", "offload_params"):
            if self.offload_states and getattr(self, key) is not Offload.none:
                raise UserError(
                    f"deepspeed.offload_states=true moves to host memory what deepspeed.{key}="
                    f"{getattr(self, key)} keeps there already; use one of them"
                )
