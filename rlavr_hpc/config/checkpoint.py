"""Config group `checkpoint`: which checkpoints stay, and how they are written."""

from __future__ import annotations

from dataclasses import dataclass

from rlavr_hpc.config.checks import at_least


@dataclass(slots=True, kw_only=True)
class CheckpointConfig:
    """Which checkpoints are kept, and how they are written; changes no results."""

    keep_last: int = 2
    """Newest checkpoints that are kept; one is deleted only after a newer one is complete."""
    keep_every: int = 0
    """Also keep the checkpoints of steps that are multiples of this; 0 = none."""
    keep_best: bool = True
    """Whether to keep the checkpoint with the highest held-out accuracy."""
    background: bool = True
    """Write during the next steps, from a copy of the state in host memory."""

    def __post_init__(self) -> None:
        """Check ranges."""
        at_least("checkpoint.keep_last", self.keep_last, 1)
        at_least("checkpoint.keep_every", self.keep_every, 0)
