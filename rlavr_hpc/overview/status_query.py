"""One look at a folder's runs and at the queue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rlavr_hpc.cluster.slurm.commands import ask_queue
from rlavr_hpc.errors import UserError
from rlavr_hpc.overview.parked_runs import labels_lacking
from rlavr_hpc.runs.queued_job import QueuedJob
from rlavr_hpc.runs.state_types import WaitsIn
from rlavr_hpc.runs.states import RunState, states

ALL_THERE = "all of them have been answered since"
"""Of the labels that a parked run waits for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusReport:
    """The state of runs, and the queue that was looked at."""

    runs: Sequence[RunState]
    queue: Sequence[QueuedJob] | None
    """None = there is no Slurm here, or it does not answer."""
    note: str = ""
    """Why less is known than usual; "" when nothing is missing, and of runs without a Slurm job."""


def query_status(folder: Path) -> StatusReport:
    """The state of every run at or below a folder.

    Raises:
        UserError: there is none.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; name a run's, a sweep's, or one above them")
    queue, note = ask_queue()
    runs = states(folder, queue=queue)
    if not runs:
        raise UserError(
            f"{folder} holds no run at any depth; name a run's folder, a sweep's, or one above them"
        )
    runs = [with_arrivals(run) for run in runs]
    in_slurm = any(run.job for run in runs)
    return StatusReport(runs=runs, queue=queue, note=note if in_slurm else "")


def with_arrivals(run: RunState) -> RunState:
    """The state of a parked run; where all its labels have come since, its reason says so."""
    if run.waits_in in (None, WaitsIn.memory) or labels_lacking(run.run) != 0:
        return run
    return replace(run, reason=f"{run.reason}; {ALL_THERE}")
