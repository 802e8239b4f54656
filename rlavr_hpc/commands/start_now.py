"""`rlavr start-now DIR...`: requeued jobs start now, not when Slurm's delay is over."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rlavr_hpc.cluster.slurm import commands
from rlavr_hpc.cluster.slurm.commands import SlurmError
from rlavr_hpc.errors import ExitCode
from rlavr_hpc.overview.status_query import query_status, run_command
from rlavr_hpc.runs.queue_reasons import why_waiting
from rlavr_hpc.runs.queued_job import QueuedJob
from rlavr_hpc.runs.states import RunState

DESCRIPTION = """\
After a requeue Slurm holds a job back for a while (two minutes by default). Have the waiting jobs
of every DIR (a run's folder, a sweep's, or a folder with sweeps in it) start as soon as there is
room.
"""
EPILOG = "Exit codes: 0 done or nothing to do, 1 Slurm refused, 2 there is no run."
REQUEUE_SECONDS = 2.0
"""A node refuses to start a job in the clock second in which it was told to end that job's last
start, and Slurm then fails the job for good ("Job credential revoked")."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Kick; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="rlavr start-now",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folders", metavar="DIR", nargs="+", type=Path)
    given = parser.parse_args(arguments)
    return run_command(lambda: _kick(given.folders))


def _kick(folders: Sequence[Path]) -> int:
    waiting: dict[Path, tuple[RunState, QueuedJob]] = {}
    for folder in folders:
        seen = query_status(folder)
        if seen.queue is None:
            raise SlurmError(seen.note or "squeue is not here: this is no node of a Slurm cluster")
        queue = {job.name: job for job in seen.queue}
        for run in seen.runs:
            job = queue.get(run.job or "")
            if job is not None and not job.is_active:
                waiting[run.run] = (run, job)
    return _start(list(waiting.values()))


def _start(waiting: Sequence[tuple[RunState, QueuedJob]]) -> int:
    code = ExitCode.DONE
    if any(job.reason == "BeginTime" for _, job in waiting):
        time.sleep(REQUEUE_SECONDS)
    for run, job in waiting:
        if job.reason != "BeginTime":
            print(f"{run.name}: job {job.name} waits for something else: {why_waiting(job)}")
            continue
        try:
            commands.start_now(job.name)
            print(f"{run.name}: job {job.name} may start now")
        except SlurmError as error:
            print(f"{run.name}: job {job.name}: {error}")
            code = ExitCode.FAILED
    if not waiting:
        print("no job waits")
    return code


if __name__ == "__main__":
    sys.exit(main())
