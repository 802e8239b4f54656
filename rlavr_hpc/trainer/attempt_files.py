"""Rank 0's files of an attempt: ledger, metrics, examples, heartbeat, and the mirror."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from rlavr_hpc.acquisition.ledger import Ledger
from rlavr_hpc.cluster.topology import slurm_start
from rlavr_hpc.runs.attempts import check_fence
from rlavr_hpc.runs.checkpoints import TrainingState
from rlavr_hpc.runs.heartbeat import Heartbeat
from rlavr_hpc.telemetry.collapse.early_warning import EarlyWarning
from rlavr_hpc.telemetry.examples.record import ExamplesFile
from rlavr_hpc.telemetry.metrics_mirror import open_mirror
from rlavr_hpc.telemetry.sinks import MetricsFile, MetricsMirror, read_line, steps_left_behind
from rlavr_hpc.trainer.checkpoint.resume import AttemptRequest, StartedAttempt
from rlavr_hpc.trainer.hooks.record import Recorder


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFiles:
    """What rank 0 writes to; every other rank writes only its shards."""

    ledger: Ledger
    recorder: Recorder


def open_files(request: AttemptRequest, started: StartedAttempt) -> AttemptFiles:
    """Open the attempt's files, on rank 0, and report that the run starts."""
    run_dir, number = request.run_dir, started.attempt.number
    fence = partial(check_fence, run_dir, started.attempt)
    ledger = Ledger(run_dir, number, fence=fence)
    recorder = Recorder(
        metrics=MetricsFile(run_dir, number, fence=fence),
        examples=ExamplesFile(run_dir, number, fence=fence),
        heartbeat=open_heartbeat(request, started),
        mirror=_open_mirror(request, started),
        warning=_early_warning(
            run_dir, started.state, selective=request.config.acquisition.has_trust
        ),
    )
    recorder.heartbeat.beat("starting", step=started.state.step)
    return AttemptFiles(ledger=ledger, recorder=recorder)


def open_heartbeat(request: AttemptRequest, started: StartedAttempt) -> Heartbeat:
    """The attempt's writer of status.json."""
    steps, job = request.config.steps, slurm_start(os.environ)
    left_behind = steps_left_behind(request.run_dir)
    return Heartbeat(
        request.run_dir,
        started.attempt.number,
        steps,
        labels_allowed=request.config.labels_allowed(steps + left_behind),
        job=asdict(job) if job else {},
    )


def _open_mirror(request: AttemptRequest, started: StartedAttempt) -> MetricsMirror | None:
    assert started.state.dashboard is not None
    return open_mirror(
        request.config,
        request.run_dir,
        started.attempt,
        dashboard_id=started.state.dashboard,
    )


def _early_warning(run_dir: Path, state: TrainingState, *, selective: bool) -> EarlyWarning:
    """The early warning as it was after the last step whose row counts."""
    until = state.step if state.unrecorded_metrics is None else state.step - 1
    warning = EarlyWarning(selective=selective)
    warning.replay(read_line(run_dir, until=until))
    return warning
