"""The progress bar of a run, on rank 0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from tqdm import tqdm

from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.telemetry import names


def progress_bar(config: RunConfig, done: int, *, shown: bool) -> tqdm[NoReturn]:
    """A bar over the run's steps, of which `done` are finished."""
    return tqdm(
        total=config.steps,
        initial=done,
        desc=config.name,
        unit="step",
        disable=not shown,
        mininterval=1.0,
    )


def progress_text(values: Mapping[str, float]) -> str:
    """A step's key figures, to stand behind the bar."""
    shown = {
        "majority": values.get(names.COLLAPSE_MAJORITY_RATIO),
        "correct": values.get(names.ORACLE_TRUE_REWARD),
        "labels": values.get(names.LABELS_TOTAL),
    }
    return " ".join(f"{name}={v:.3g}" for name, v in shown.items() if v is not None)
