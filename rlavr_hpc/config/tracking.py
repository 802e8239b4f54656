"""Config group `tracking`: dashboards, and the example rollouts on record."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from rlavr_hpc.config.checks import at_least
from rlavr_hpc.errors import UserError


class Tracking(StrEnum):
    """Dashboard that mirrors the metrics; the JSON-lines record is always written."""

    none = "none"
    """No dashboard."""
    wandb = "wandb"
    """Weights & Biases, live."""
    offline = "offline"
    """Files in the run's folder, for `rlavr track sync`."""


LONGEST_TAG = 64


@dataclass(slots=True, kw_only=True)
class TrackingConfig:
    """The dashboard that metrics are copied to, and the example rollouts on record."""

    kind: Tracking = Tracking.none
    """The dashboard that metrics are copied to; the run's folder is always the record."""
    project: str = "rlavr_hpc"
    """The dashboard's project."""
    entity: str | None = None
    """The dashboard's user or team; null = yours."""
    tags: list[str] = field(default_factory=list)
    """More tags, besides those of every run: policy, budget, model, engine, seed."""
    examples_every: int = 25
    """Steps between recorded example rollouts, besides those of the first step; 0 = none."""
    examples_prompts: int = 4
    """Prompts of a step whose rollouts are recorded: half of them with a label, if there are
    any."""
    share_labels: bool = False
    """Whether the dashboard shows true labels, and rewards that reveal one."""
    checkpoints: bool = False
    """Whether a finished run's last checkpoint is stored there: 12 bytes per parameter."""

    def __post_init__(self) -> None:
        """Check ranges."""
        at_least("tracking.examples_every", self.examples_every, 0)
        at_least("tracking.examples_prompts", self.examples_prompts, 1)
        if bad := [tag for tag in self.tags if not 1 <= len(tag) <= LONGEST_TAG]:
            raise UserError(
                f"tracking.tags: {bad[0]!r} must have 1 to {LONGEST_TAG} characters; wandb takes "
                "no others"
            )
