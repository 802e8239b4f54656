"""Key group `tracking`: dashboards, and the example rollouts on record."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from rlavr_hpc.config.checks import at_least
from rlavr_hpc.errors import UserError


class Tracking(StrEnum):
    """Dashboard that mirrors the metrics; the JSON-lines record is always written."""

    none = "none"
    wandb = "wandb"
    offline = "offline"


LONGEST_TAG = 64


@dataclass(slots=True, kw_only=True)
class TrackingConfig:
    """Dashboards, and the example rollouts on record."""

    kind: Tracking = Tracking.none
    project: str = "rlavr_hpc"
    entity: str | None = None
    tags: list[str] = field(default_factory=list)
    """Besides those that every run gets: policy, budget, model, engine, seed."""
    examples_every: int = 25
    """Steps between example rollouts on record, besides the first step; 0 = none."""
    examples_prompts: int = 4
    """Prompts of a step whose rollouts go on record: half of them with a label, if there are."""
    share_labels: bool = False
    """Show true labels, and rewards that tell one, outside of the run folder."""
    checkpoints: bool = False
    """Store a finished run's last checkpoint there: 12 bytes a parameter."""

    def __post_init__(self) -> None:
        """Check ranges."""
        at_least("tracking.examples_every", self.examples_every, 0)
        at_least("tracking.examples_prompts", self.examples_prompts, 1)
        if bad := [tag for tag in self.tags if not 1 <= len(tag) <= LONGEST_TAG]:
            raise UserError(
                f"tracking.tags: {bad[0]!r} must have 1 to {LONGEST_TAG} characters; wandb takes "
                "no others"
            )
