"""One look at a folder's runs and at the queue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rlavr_hpc.cluster.slurm.commands import ask_queue
from rlavr_hpc.errors import UserError
from rlavr_hpc.runs.queued_job import QueuedJob
from rlavr_hpc.runs.states import RunState, states


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusReport:
    """The state of runs, and the queue that was looked at."""

    runs: Sequence[RunState]
    queue: Sequence[QueuedJob] | None
    """None = there is no Slurm here, or it does not answer."""
    note: str = ""
    """Why less is known than usual; "" when nothing is missing."""


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
    return StatusReport(runs=runs, queue=queue, note=note)
