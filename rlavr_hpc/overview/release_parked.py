"""Letting a parked run go on when enough of its labels are there; the bridge asks at every look.

Slurm is asked only when enough has come, and once for every time that a run parks: RUN/labels/
enough/ATTEMPT.json says that it was done, also to another bridge and to the next start of this one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

from rlavr_hpc.cluster.slurm import commands
from rlavr_hpc.cluster.slurm.commands import SlurmError, ask_queue
from rlavr_hpc.config.labels import LabelsConfig
from rlavr_hpc.io import make_folder, write_record
from rlavr_hpc.labels.mailbox import LABELS
from rlavr_hpc.runs.cancelled_wait import is_wait_cancelled
from rlavr_hpc.runs.done import is_done
from rlavr_hpc.runs.heartbeat import LastHeartbeat, read_heartbeat
from rlavr_hpc.runs.queue_reasons import is_held
from rlavr_hpc.runs.queued_job import QueuedJob
from rlavr_hpc.runs.state_types import KILL_SECONDS
from rlavr_hpc.runs.stops import CANCELLATION, stop_path

FOLDER = f"{LABELS}/enough"
VERSION = 1
EPSILON = 1e-9
"""A share of a count may come out a little below a whole number."""

Say = Callable[[str], None]


def release_enough(
    run_dir: Path, open_labels: int, labels: LabelsConfig, say: Say | None = None
) -> bool:
    """Release the Slurm job of a parked run when enough of its labels are there.

    Args:
        run_dir: the run's folder.
        open_labels: how many of the labels that it waits for lack an answer.
        labels: its settings; `enough` counts.
        say: takes a line that says what was done, or why it was not.

    Returns:
        Whether the run can go on by this: True once for every time that it parks, also where no job
        is to be released and its own command goes on with it. False while too few labels are there
        or Slurm does not answer, and of a run that is not parked, or was released by someone else.

    Raises:
        OSError: the run's folder cannot be written.
    """
    beat = read_heartbeat(run_dir).heartbeat
    if beat is None or not beat.parked or open_labels > spared_labels(beat, labels):
        return False
    if is_released(run_dir, beat):
        return False
    tell = say or (lambda line: None)
    done, line = (True, _own_command(run_dir)) if beat.job is None else _release(run_dir, beat)
    if line:
        tell(f"{run_dir.name}: {line}")
    if done is None:
        return False
    mark = _mark(run_dir, beat)
    make_folder(mark.parent)
    write_record(mark, VERSION, {"time": time.time(), "open": open_labels, "job": beat.job})
    return done


def is_released(run_dir: Path, beat: LastHeartbeat) -> bool:
    """Whether a parked run was released since it parked, by this bridge or another one."""
    return _mark(run_dir, beat).exists()


def spared_labels(beat: LastHeartbeat, labels: LabelsConfig) -> int:
    """How many of the labels that a parked run waits for need not be there when it goes on."""
    return math.floor((1 - labels.enough) * (beat.pending or 0) + EPSILON)


def wants_labels(run_dir: Path) -> bool:
    """Whether a run may still use labels that it has ordered: not when it is done or cancelled."""
    if is_done(run_dir):
        return False
    beat = read_heartbeat(run_dir).heartbeat
    return beat is None or not _is_cancelled(run_dir, beat)


def _is_cancelled(run_dir: Path, beat: LastHeartbeat) -> bool:
    if beat.job is not None and stop_path(run_dir, beat.job, CANCELLATION).exists():
        return True
    return beat.parked and is_wait_cancelled(run_dir, beat.attempt)


def _mark(run_dir: Path, beat: LastHeartbeat) -> Path:
    return run_dir / FOLDER / f"{beat.attempt}.json"


def _own_command(run_dir: Path) -> str:
    return f"enough labels are there: start the command of {run_dir} again, it goes on"


def _release(run_dir: Path, beat: LastHeartbeat) -> tuple[bool | None, str]:
    """Release the run's job; whether that was it (None = look again later), and what to say."""
    assert beat.job is not None
    queue, problem = ask_queue()
    if queue is None:
        if problem:
            return None, problem
        return True, (
            f"enough labels are there, and Slurm is not here: rlavr start-now {run_dir}, where it "
            "is, lets the run go on"
        )
    job = next((job for job in queue if job.name == beat.job), None)
    if job is None:
        return _of_gone(run_dir, beat)
    return _of_queued(job)


def _of_queued(job: QueuedJob) -> tuple[bool | None, str]:
    if job.is_active:
        return None, ""  # it is about to be held, or starts and will say so
    if not is_held(job):
        return False, ""
    try:
        commands.release(job.name)
    except SlurmError as error:
        return None, f"job {job.name} is not released: {error}"
    return True, f"enough labels are there: job {job.name} is released"


def _of_gone(run_dir: Path, beat: LastHeartbeat) -> tuple[bool | None, str]:
    if _is_cancelled(run_dir, beat):
        return False, ""
    if time.time() < beat.time + KILL_SECONDS:
        return None, ""  # Slurm lists it nowhere for a moment
    return True, (
        f"enough labels are there, and job {beat.job} is gone: the sweep's command goes on with "
        f"{run_dir}"
    )
