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
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from rlavr_hpc.cluster.slurm.cancel import newest_step
from rlavr_hpc.cluster.slurm.commands import SlurmError, requeue, requeue_held, show_job
from rlavr_hpc.cluster.slurm.end_cause import EndedJob, classify, failures_in_a_row
from rlavr_hpc.cluster.topology import SlurmStart, slurm_start
from rlavr_hpc.errors import ExitCode, RlavrError, UserError
from rlavr_hpc.runs.done import is_done
from rlavr_hpc.runs.failures import Failure, read_failure
from rlavr_hpc.runs.heartbeat import LastHeartbeat, read_heartbeat
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
REQUEUED_CAUSES = (
    Cause.preempted,
    Cause.time_limit,
    Cause.signalled,
    Cause.crashed,
    Cause.waiting_for_labels,
)
"""Causes after which a job goes back into the queue."""


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
    row = failures_in_a_row(
        before, cause, job=start.job, checkpoint=checkpoint, waited=ended.waited
    )
    given_up = row >= max_failures and cause is not Cause.waiting_for_labels
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


def _last_words(run_dir: Path, start: SlurmStart) -> LastHeartbeat | None:
    """The heartbeat of this start; None where the last one is of another."""
    beat = read_heartbeat(run_dir).heartbeat
    own = beat is not None and beat.job == start.job and (beat.restart or 0) == start.restart
    return beat if own else None


def waits_for_labels(run_dir: Path, start: SlurmStart) -> bool:
    """Whether this start waits for labels, or did so when it ended."""
    beat = _last_words(run_dir, start)
    return beat is not None and beat.pending is not None


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
    beat = _last_words(run_dir, start)
    if failure is not None:
        code = failure.exit_code
    elif code and beat is not None and beat.parked:
        code = ExitCode.WAITING_FOR_LABELS  # srun may have ended the other ranks by a signal
    ended = EndedJob(
        exit_code=code,
        start=start,
        finished=is_done(run_dir),
        job=query_job(start.job),
        signal_seconds=signal_seconds,
        now=time.time(),
        waited=waits_for_labels(run_dir, start),
    )
    stop = decide(run_dir, ended, failure, max_failures=max_failures)
    write_stop(run_dir, stop)
    print(f"rlavr: {stop.cause}{f': {stop.message}' if stop.message else ''}", flush=True)
    if not stop.again:
        return WAIT_TO_BE_KILLED if stop.cause is Cause.requeued else 0
    put_back = requeue_held if stop.cause is Cause.waiting_for_labels else requeue
    try:
        put_back(start.job)
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
