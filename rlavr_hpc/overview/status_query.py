"""One look at a folder's runs and at the queue."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rlavr_hpc.cluster.slurm import commands
from rlavr_hpc.errors import UserError
from rlavr_hpc.runs.queued_job import QueuedJob
from rlavr_hpc.runs.states import RunState, states


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusReport:
    """What was seen."""

    runs: Sequence[RunState]
    queue: Sequence[QueuedJob] | None
    """None = there is no Slurm here, or it does not answer."""
    note: str = ""
    """Why less can be said than usual."""


def query_status(folder: Path) -> StatusReport:
    """The state of every run at or below a folder.

    Raises:
        UserError: there is none.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder; name a run's, a sweep's, or one with sweeps in it")
    queue, note = ask_queue()
    runs = states(folder, queue=queue)
    if not runs:
        raise UserError(
            f"{folder} holds no run and no sweep.json; name a run's folder, a sweep's, or one with "
            "sweeps in it"
        )
    return StatusReport(runs=runs, queue=queue, note=note)


def ask_queue() -> tuple[list[QueuedJob] | None, str]:
    """My jobs, and why they are not known: None where no Slurm is installed or none answers."""
    if shutil.which("squeue") is None:
        return None, ""
    try:
        return commands.queue(), ""
    except commands.SlurmError as error:
        return None, f"Slurm does not answer, so this is what the folders say: {error}"
