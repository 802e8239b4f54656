"""Config group `tracking`: dashboards, and the example rollouts on record."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from rlavr_hpc.config.checks import at_least
from rlavr_hpc.errors import UserError


class Tracking(StrEnum):
    """Dashboard that mirrors the metrics; the JSON-lines record is always written."""

    none = "none"
    """The record alone."""
    tensorboard = "tensorboard"
    """Event files in the run folder, written as the run goes on."""
    wandb = "wandb"
    """Weights & Biases, over the network."""
    offline = "offline"
    """Weights & Biases without a network: files in the run folder, sent by `rlavr track sync`."""


LONGEST_TAG = 64
LONGEST_NAME = 128
"""Characters of a project's name, by wandb's own rule; also of an entity or a group."""
FORBIDDEN = "/\\#?%:"
"""Characters that wandb takes in no project's name, since it becomes part of an address."""


@dataclass(slots=True, kw_only=True)
class TrackingConfig:
    """The dashboard that metrics are copied to, and the example rollouts on record."""

    kind: Tracking = Tracking.none
    """Where the metrics are mirrored; metrics/N.jsonl in the run folder is always written."""
    project: str = "rlavr_hpc"
    """Weights & Biases project."""
    entity: str | None = None
    """Weights & Biases user or team; null = the one who is logged in."""
    tags: list[str] = field(default_factory=list)
    """More tags, besides those of every run: policy, budget, model, engine, seed."""
    examples_every: int = 25
    """Steps between recorded example rollouts, besides those of the first step; 0 = none."""
    examples_prompts: int = 4
    """Prompts of a step whose rollouts are recorded: half of them with a label, if there are
    any."""
    share_labels: bool = False
    """Show true labels, and rewards that reveal one, on Weights & Biases."""
    checkpoints: bool = False
    """Store a finished run's last checkpoint on Weights & Biases: 12 bytes a parameter."""

    def __post_init__(self) -> None:
        """Check ranges."""
        at_least("tracking.examples_every", self.examples_every, 0)
        at_least("tracking.examples_prompts", self.examples_prompts, 1)
        if bad := [tag for tag in self.tags if not 1 <= len(tag) <= LONGEST_TAG]:
            raise UserError(
                f"tracking.tags: {bad[0]!r} must have 1 to {LONGEST_TAG} characters; wandb takes "
                "no others"
            )


def check_dashboard(tracking: TrackingConfig, *, group: str) -> None:
    """Check what Weights & Biases would refuse only after the start; not for other dashboards.

    This is no part of the config's own check: a folder made with such a name stays readable.

    Args:
        tracking: the run's settings.
        group: the run's group on the dashboard, which is its name.

    Raises:
        UserError: project, entity or group cannot be a name there.
    """
    if tracking.kind not in (Tracking.wandb, Tracking.offline):
        return
    check_dashboard_name("tracking.project", tracking.project)
    if tracking.entity is not None:
        check_dashboard_name("tracking.entity", tracking.entity, also=" ")
    check_dashboard_name("name", group)


def check_dashboard_name(key: str, value: str, *, also: str = "") -> None:
    """Raise UserError where `key` holds no name for wandb.

    Args:
        key: as the user writes it.
        value: the name.
        also: characters that are forbidden besides the usual ones.
    """
    if not value.strip() or value != value.strip():
        raise UserError(f"{key}={value!r} must be a name without spaces around it")
    if len(value) > LONGEST_NAME:
        raise UserError(
            f"{key}={value!r} has {len(value)} characters; wandb takes at most {LONGEST_NAME}"
        )
    bad = sorted({c for c in value if c in FORBIDDEN + also or not c.isprintable()})
    if bad:
        named = " ".join("space" if c == " " else ascii(c)[1:-1] for c in bad)
        raise UserError(
            f"{key}={value!r}: wandb takes no name with {named}; use letters, digits, '-' and '_'"
        )
