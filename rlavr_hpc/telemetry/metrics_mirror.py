"""Which mirror of its metrics a run has: `tracking.kind` decides."""

from __future__ import annotations

from pathlib import Path

from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.config.tracking import Tracking
from rlavr_hpc.runs.attempts import Attempt
from rlavr_hpc.telemetry.sinks import MetricsMirror
from rlavr_hpc.telemetry.tensorboard.sink import TensorboardSink
from rlavr_hpc.telemetry.wandb.identity import dashboard_of
from rlavr_hpc.telemetry.wandb.sink import WandbSink


def open_mirror(
    config: RunConfig, run_dir: Path, attempt: Attempt, *, dashboard_id: str
) -> MetricsMirror | None:
    """The mirror of an attempt; None where the config asks for none.

    Args:
        config: the run's.
        run_dir: the run's folder.
        attempt: whose rows are mirrored.
        dashboard_id: the run's id on Weights & Biases, the same for all attempts.
    """
    match config.tracking.kind:
        case Tracking.none:
            return None
        case Tracking.tensorboard:
            return TensorboardSink(run_dir, attempt)
        case Tracking.wandb | Tracking.offline:
            return WandbSink(run_dir, dashboard_of(config, dashboard_id), attempt)
