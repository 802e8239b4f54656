"""What a run is called on a dashboard, and what it is found by there."""

from __future__ import annotations

import re
from pathlib import PurePath

from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.config.tracking import LONGEST_TAG, Tracking
from rlavr_hpc.runs.attempts import Attempt
from rlavr_hpc.runs.identity import hash8, to_dict
from rlavr_hpc.telemetry.wandb.connection import Dashboard


def dashboard_id(name: str, first: Attempt) -> str:
    """The run's id there: stable, and new for a folder that is begun anew.

    Args:
        name: of the run or its sweep.
        first: the run's first attempt, whose token stays.
    """
    return f"{re.sub(r'[^A-Za-z0-9_-]', '-', name)[:40]}-{first.nonce}"


def dashboard_of(config: RunConfig, run_id: str) -> Dashboard:
    """Where the config says that the run is shown."""
    tracking = config.tracking
    return Dashboard(
        run_id=run_id,
        project=tracking.project,
        entity=tracking.entity,
        group=config.name,
        config={**to_dict(config), "config_hash": hash8(config)},
        tags=tags_of(config),
        mode="online" if tracking.kind is Tracking.wandb else "offline",
        share_labels=tracking.share_labels,
        checkpoints=tracking.checkpoints,
    )


def tags_of(config: RunConfig) -> tuple[str, ...]:
    """Policy, budget, model, engine and seed, then the user's own; each once."""
    model = str(config.model.source)
    if not config.model.built_here:
        model = PurePath(config.model.path or "").name
    own = (
        f"policy:{config.acquisition.name}",
        f"budget:{config.budget:g}",
        f"model:{model}",
        f"engine:{config.rollout.engine}",
        f"seed:{config.seed}",
    )
    return tuple(dict.fromkeys(tag[:LONGEST_TAG] for tag in (*own, *config.tracking.tags)))
