"""One look at a folder's runs and at the queue, and the end of every command that looks."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rlavr_hpc.cluster.slurm import commands
from rlavr_hpc.errors import ExitCode, RlavrError, UserError
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


def run_command(work: Callable[[], int]) -> int:
    """Do a command's work; errors that are expected become one line and an exit code."""
    try:
        code = work()
        sys.stdout.flush()
    except RlavrError as error:
        print(f"rlavr_hpc: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.DONE
    except OSError as error:
        print(f"rlavr_hpc: {error}", file=sys.stderr)
        return ExitCode.FAILED
    except KeyboardInterrupt:
        return ExitCode.SECOND_SIGNAL
    return code
