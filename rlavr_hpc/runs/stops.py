"""Why the jobs of a run ended: RUN/stops/A_T.R.json, one per start of a job, by its batch script.

A is the array's job id, T the index in it, R how often Slurm had restarted it before. A job that is
killed together with its batch script leaves none. Whoever cancels a job for good writes A_T.-1.json
before, which is the last word on that job: it may never have started, or be killed with its script.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path

from rlavr_hpc.errors import RlavrError
from rlavr_hpc.io import make_folder, read_record, write_record

VERSION = 1
WAIT_TO_BE_KILLED = 64
"""Exit code of `cluster.slurm.job_end`: the job goes back into the queue, Slurm ends this start."""
CANCELLATION = -1
"""The restart of a cancellation that was written by who cancelled, not by the job."""


class Cause(StrEnum):
    """Why a job ended."""

    done = "done"
    preempted = "preempted"
    time_limit = "time_limit"
    requeued = "requeued"
    """Somebody's `scontrol requeue`, or a preemption without grace, which looks the same."""
    signalled = "signalled"
    """A stop signal from elsewhere; the run wrote a checkpoint."""
    cancelled = "cancelled"
    crashed = "crashed"
    mistake = "mistake"
    """The config or its inputs cannot work: exit code 2."""
    early_warning = "early_warning"
    waiting_for_labels = "waiting_for_labels"
    """Labels that it ordered are not there: the run wrote a checkpoint and gave its node back."""
    fenced = "fenced"
    """A newer start owns the run: this one came back from a node that had been given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """One start of a job, ended."""

    job: str
    """A_T."""
    restart: int
    """0 for its first start; CANCELLATION = a cancellation, whenever that was."""
    cause: Cause
    again: bool
    """Whether the job goes back into the queue; held there where it waits for labels."""
    exit_code: int
    """srun's: the highest of the ranks'; 128 + n after signal n."""
    checkpoint: int
    """Step of the newest checkpoint; -1 without one."""
    failures: int = 0
    """Crashes and time limits in a row, up to this one, without a newer checkpoint."""
    message: str = ""
    """In words, with the way out."""
    node: str = ""
    time: float = field(default_factory=time.time)


def write_stop(run_dir: Path, stop: Stop) -> None:
    """Put a stop on record."""
    path = stop_path(run_dir, stop.job, stop.restart)
    make_folder(path.parent)
    write_record(path, VERSION, asdict(stop))


def stop_path(run_dir: Path, job: str, restart: int) -> Path:
    """Where the stop of one start of a job is on record."""
    return run_dir / "stops" / f"{job}.{restart}.json"


def read_stops(run_dir: Path) -> list[Stop]:
    """All stops of a run, oldest first; a job's cancellation behind all that the job wrote.

    Raises:
        RlavrError: a record is damaged or of another version.
    """
    found = [read_stop(path) for path in (run_dir / "stops").glob("*.json") if path.name[0] != "."]
    last: dict[str, float] = {}
    for stop in found:
        last[stop.job] = max(stop.time, last.get(stop.job, stop.time))

    def when(stop: Stop) -> tuple[float, bool]:
        cancelled = stop.restart == CANCELLATION
        return (last[stop.job] if cancelled else stop.time), cancelled

    return sorted(found, key=when)


def read_stop(path: Path) -> Stop:
    """One stop.

    Raises:
        RlavrError: the record is damaged or of another version.
    """
    values = read_record(path, VERSION)
    try:
        return Stop(**values | {"cause": Cause(values["cause"])})
    except (TypeError, ValueError, KeyError) as error:
        raise RlavrError(f"{path} cannot be used: {error!r}") from error


def describe_stop(stop: Stop) -> str:
    """Why a job ended, in a few words."""
    if stop.message:
        return stop.message
    words = {
        Cause.preempted: "preempted",
        Cause.time_limit: "reached its time limit",
        Cause.requeued: "requeued by somebody, or preempted without grace",
        Cause.signalled: "stopped by a signal",
        Cause.cancelled: "cancelled",
        Cause.crashed: f"crashed with exit code {stop.exit_code}",
        Cause.mistake: "the config or its inputs cannot work (exit code 2)",
        Cause.early_warning: "stopped by the early warning",
        Cause.waiting_for_labels: "waits for labels",
        Cause.fenced: "superseded by a newer start",
        Cause.done: "finished",
    }
    after = f" after step {stop.checkpoint}" if stop.checkpoint > 0 else ""
    return words[stop.cause] + after
