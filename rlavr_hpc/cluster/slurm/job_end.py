"""`python -m rlavr_hpc.cluster.slurm.job_end RUN CODE`: run by the batch script when srun is back.

Says why the run ended, puts that on record, and requeues the job where that is right. The batch
script decides and not a rank: it is there before a rank has installed a handler, in containers
without scontrol, and after the last rank has written its checkpoint (`scontrol requeue` cuts
what remains of a grace period).
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from signal import SIGTERM, SIGUSR2
from typing import TypeVar

from rlavr_hpc.cluster.slurm.cancel import newest_step
from rlavr_hpc.cluster.slurm.commands import SlurmError, requeue, show_job
from rlavr_hpc.cluster.topology import SlurmStart, slurm_start
from rlavr_hpc.errors import ExitCode, RlavrError, UserError
from rlavr_hpc.runs.done import is_done
from rlavr_hpc.runs.failures import Failure, read_failure
from rlavr_hpc.runs.stops import (
    CANCELLATION,
    WAIT_TO_BE_KILLED,
    Cause,
    Stop,
    read_stop,
    stop_path,
    write_stop,
)

Record = TypeVar("Record")
REQUEUED_CAUSES = (Cause.preempted, Cause.time_limit, Cause.signalled, Cause.crashed)
"""Causes after which a job goes back into the queue."""
STOPPING = (Cause.time_limit, Cause.signalled)
"""Causes that are no failure where they left a newer checkpoint behind. A signal may be srun's own,
which ends the other ranks when one is gone and whose exit code hides that one's."""
FINAL = {
    ExitCode.MISTAKE: Cause.mistake,
    ExitCode.EARLY_WARNING: Cause.early_warning,
    ExitCode.FENCED: Cause.fenced,
}
STOPPED = (ExitCode.STOPPED, ExitCode.SECOND_SIGNAL, 128 + SIGTERM, 128 + SIGUSR2)
"""Stopped with a checkpoint, at the second signal, or before there was a handler."""
NEAR_LIMIT_SECONDS = 90
"""Slurm sends the signal up to a minute early, and looks every half minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedJob:
    """A start of a job whose ranks are gone."""

    exit_code: int
    """The one that explains it: of the first rank that failed with words, else srun's."""
    finished: bool
    start: SlurmStart
    job: Mapping[str, str]
    """What Slurm says of the job now; empty when it does not answer."""
    signal_seconds: int
    now: float


def classify(ended: EndedJob) -> Cause:
    """Why it ended.

    What Slurm says counts more than the exit code: a run that gets the signal while it loads its
    models dies of it.
    """
    job, code = ended.job, ended.exit_code
    if code == ExitCode.FENCED or int(job.get("Restarts", "0")) > ended.start.restart:
        return Cause.fenced if code == ExitCode.FENCED else Cause.requeued
    if code == 0 and ended.finished:
        return Cause.done
    if code in FINAL:
        return FINAL[ExitCode(code)]
    if job.get("Reason") == "TimeLimit" or job.get("JobState") == "TIMEOUT":
        return Cause.time_limit
    if job.get("JobState") in ("COMPLETING", "CANCELLED"):
        return Cause.cancelled
    if parse_time(job.get("PreemptTime")) is not None:
        return Cause.preempted
    if code in STOPPED:
        return Cause.time_limit if _near_limit(ended) else Cause.signalled
    return Cause.crashed


def _near_limit(ended: EndedJob) -> bool:
    end = parse_time(ended.job.get("EndTime"))
    return end is not None and end - ended.now < ended.signal_seconds + NEAR_LIMIT_SECONDS


def parse_time(text: str | None) -> float | None:
    """Unix time of Slurm's local time; None for None, N/A and Unknown."""
    try:
        return datetime.fromisoformat(text or "").astimezone().timestamp()
    except ValueError:
        return None


def failures_in_a_row(stops: Sequence[Stop], cause: Cause, *, job: str, checkpoint: int) -> int:
    """How often this job has now crashed, or run out of time, without a newer checkpoint.

    Args:
        stops: the run's earlier ones; a preemption between two failures does not part them.
        cause: of the present stop.
        job: A_T; a run that is submitted again starts from zero.
        checkpoint: the newest one's step now.
    """
    last = stops[-1] if stops else None
    progress = checkpoint != (last.checkpoint if last is not None else -1)
    before = last.failures if last is not None and last.job == job and not progress else 0
    return before + (cause is Cause.crashed or (cause in STOPPING and not progress))


def decide(run_dir: Path, ended: EndedJob, failure: Failure | None, *, max_failures: int) -> Stop:
    """The record of this stop, with whether the job goes back into the queue."""
    start = ended.start
    stops = {(s.job, s.restart): s for s in _readable_records(run_dir / "stops", read_stop)}
    own = stops.pop((start.job, start.restart), None)
    marked = stop_path(run_dir, start.job, CANCELLATION).exists()
    cause = Cause.cancelled if marked else classify(ended)
    if own is not None and cause is Cause.requeued:
        cause = own.cause  # `time_limit` was first, and requeued it
    checkpoint = newest_step(run_dir)
    before = sorted(
        (s for s in stops.values() if s.restart != CANCELLATION), key=lambda stop: stop.time
    )
    row = failures_in_a_row(before, cause, job=start.job, checkpoint=checkpoint)
    given_up = row >= max_failures
    again = cause in REQUEUED_CAUSES and not given_up
    return Stop(
        job=start.job,
        restart=start.restart,
        cause=cause,
        again=again,
        node=start.node,
        exit_code=ended.exit_code,
        checkpoint=checkpoint,
        failures=row,
        message=_message(cause, failure, row if given_up else 0, max_failures),
        time=ended.now,
    )


def _message(cause: Cause, failure: Failure | None, row: int, most: int) -> str:
    words = failure.error if failure is not None else ""
    if row and cause is Cause.time_limit:
        return (
            f"given up: the time limit came {row} times before a new checkpoint was written; give "
            "it more time (hydra.launcher.time) or checkpoints more often (save_every)"
        )
    if row:
        often = "the first failure" if most == 1 else f"{most} failures"
        return f"given up after {often} without a new checkpoint: {words}".rstrip(": ")
    return words


def _first_failure(run_dir: Path, start: SlurmStart) -> Failure | None:
    """The first rank's failure of this start; the others only lost their partner."""
    found = [
        f for f in _readable_records(run_dir / "failures", read_failure) if f.start == start.name
    ]
    return min(found, key=lambda failure: failure.time, default=None)


def _readable_records(folder: Path, read: Callable[[Path], Record]) -> list[Record]:
    """The records of a folder; a damaged one must not keep a job from being requeued."""
    found = []
    for path in sorted(folder.glob("[!.]*.json")):
        try:
            found.append(read(path))
        except RlavrError as error:
            print(f"rlavr: {error}", file=sys.stderr)
    return found


def query_job(name: str) -> dict[str, str]:
    """What Slurm says of a job; queried twice, as the answer may be empty during a signal."""
    for pause in (0.5, 0.0):
        try:
            if job := show_job(name):
                return job
        except SlurmError as error:
            print(f"rlavr: {error}", file=sys.stderr)
        time.sleep(pause)
    return {}


def conclude(run_dir: Path, code: int, *, max_failures: int, signal_seconds: int) -> int:
    """Record why this start ended and requeue its job where that is right.

    Returns:
        `WAIT_TO_BE_KILLED` when the job goes back into the queue, else 0.
    """
    start = slurm_start(os.environ)
    if start is None:
        raise UserError("this is no Slurm job: SLURM_JOB_ID is not set")
    failure = _first_failure(run_dir, start) if code else None
    ended = EndedJob(
        exit_code=failure.exit_code if failure is not None else code,
        start=start,
        finished=is_done(run_dir),
        job=query_job(start.job),
        signal_seconds=signal_seconds,
        now=time.time(),
    )
    stop = decide(run_dir, ended, failure, max_failures=max_failures)
    write_stop(run_dir, stop)
    print(f"rlavr: {stop.cause}{f': {stop.message}' if stop.message else ''}", flush=True)
    if not stop.again:
        return WAIT_TO_BE_KILLED if stop.cause is Cause.requeued else 0
    try:
        requeue(start.job)
    except SlurmError as error:
        print(f"rlavr: {start.job} is not requeued: {error}", file=sys.stderr)
        return 0
    return WAIT_TO_BE_KILLED


def main() -> int:
    """Returns the exit code for the batch script."""
    parser = argparse.ArgumentParser(prog="python -m rlavr_hpc.cluster.slurm.job_end")
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("code", type=int)
    parser.add_argument("--max-failures", type=int, required=True)
    parser.add_argument("--signal-seconds", type=int, required=True)
    given = parser.parse_args()
    try:
        return conclude(
            given.run_dir,
            given.code,
            max_failures=given.max_failures,
            signal_seconds=given.signal_seconds,
        )
    except (RlavrError, OSError) as error:
        print(f"rlavr: {error}", file=sys.stderr)
        return ExitCode.FAILED


if __name__ == "__main__":
    sys.exit(main())
