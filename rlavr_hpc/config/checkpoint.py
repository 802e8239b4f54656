"""Key group `checkpoint`: which checkpoints stay, and how they are written."""

from __future__ import annotations

from dataclasses import dataclass

from rlavr_hpc.config.checks import at_least


@dataclass(slots=True, kw_only=True)
class CheckpointConfig:
    """Which checkpoints stay, and how they are written; changes no results."""

    keep_last: int = 2
    """Newest ones that stay; an older one goes only after a newer one is complete."""
    keep_every: int = 0
    """Those of steps that are multiples of this stay; 0 = none."""
    keep_best: bool = True
    """The one with the highest held-out accuracy stays."""
    background: bool = True
    """Write beside the next steps, from a copy of the state in host memory."""

    def __post_init__(self) -> None:
        """Check ranges."""
        at_least("checkpoint.keep_last", self.keep_last, 1)
        at_least("checkpoint.keep_every", self.keep_every, 0)
