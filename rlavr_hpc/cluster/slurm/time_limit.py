"""`python -m rlavr_hpc.cluster.slurm.time_limit RUN`: run by the batch script beside srun.

A rank that hangs, or whose step and checkpoint take longer than `signal_seconds`, is still there
when its job's time is over. Slurm then ends the batch script as well, within KillWait, and leaves
the job as TIMEOUT: nobody is there to requeue it. So a job whose ranks still run seconds before
its limit is requeued while it can be.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from signal import SIGTERM

from rlavr_hpc.cluster.slurm.commands import requeue
from rlavr_hpc.cluster.slurm.end_cause import EndedJob, parse_time
from rlavr_hpc.cluster.slurm.job_end import decide, query_job, waits_for_labels
from rlavr_hpc.cluster.topology import SlurmStart, slurm_start
from rlavr_hpc.errors import ExitCode, RlavrError, UserError
from rlavr_hpc.runs.stops import stop_path, write_stop

BEFORE_SECONDS = 5.0
"""Before the limit; Slurm acts on it up to half a minute late, but not early."""


def seconds_left(job: Mapping[str, str], start: SlurmStart, now: float) -> float | None:
    """Until this start must be requeued; None when its limit is no reason.

    Args:
        job: what Slurm says of it.
        start: of the batch script.
        now: unix time.
    """
    end = parse_time(job.get("EndTime"))
    if end is None or job.get("JobState") not in ("RUNNING", "SUSPENDED"):
        return None
    preempted = parse_time(job.get("PreemptTime")) is not None  # its end is that of its grace
    if preempted or int(job.get("Restarts", "0")) != start.restart:
        return None
    return end - BEFORE_SECONDS - now


def watch(run_dir: Path, *, max_failures: int) -> None:
    """Wait for the limit, put it on record and requeue the job where that is right."""
    start = slurm_start(os.environ)
    if start is None:
        raise UserError("this is no Slurm job: SLURM_JOB_ID is not set")
    while True:
        job = query_job(start.job)
        left = seconds_left(job, start, time.time())
        if left is None:
            return
        if left <= 0:
            break
        time.sleep(left)  # query again then: a limit can be extended
    if stop_path(run_dir, start.job, start.restart).exists():
        return
    # as Slurm will have it in a moment
    ended = EndedJob(
        exit_code=128 + SIGTERM,
        finished=False,
        start=start,
        job={**job, "Reason": "TimeLimit"},
        signal_seconds=0,
        now=time.time(),
        waited=waits_for_labels(run_dir, start),
    )
    stop = decide(run_dir, ended, None, max_failures=max_failures)
    write_stop(run_dir, stop)
    print("rlavr: the time limit comes and the run still goes on", flush=True)
    if stop.again:
        requeue(start.job)


def main() -> int:
    """Watch one job; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m rlavr_hpc.cluster.slurm.time_limit")
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--max-failures", type=int, required=True)
    given = parser.parse_args()
    try:
        watch(given.run_dir, max_failures=given.max_failures)
    except (RlavrError, OSError) as error:
        print(f"rlavr: {error}", file=sys.stderr)
        return ExitCode.FAILED
    return ExitCode.DONE


if __name__ == "__main__":
    sys.exit(main())
