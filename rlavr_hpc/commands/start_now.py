"""`rlavr start-now DIR...`: start requeued jobs without Slurm's delay."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from rlavr_hpc.cluster.slurm import commands
from rlavr_hpc.cluster.slurm.commands import SlurmError
from rlavr_hpc.errors import ExitCode
from rlavr_hpc.overview.status_query import query_status
from rlavr_hpc.runs.queue_reasons import is_held, why_waiting
from rlavr_hpc.runs.queued_job import QueuedJob
from rlavr_hpc.runs.state_types import WaitsIn
from rlavr_hpc.runs.states import RunState

DESCRIPTION = """\
Start requeued jobs as soon as a node is free. After a requeue Slurm delays a job, by default for
two minutes; this removes the delay. A job that is held until its labels are there is released.
"""
EPILOG = """\
Examples:
  rlavr start-now runs/study

Exit codes: 0 done, or nothing to do, 1 Slurm refused, 2 no run found.
"""
REQUEUE_SECONDS = 2.0
"""A node refuses to start a job in the clock second in which it was told to end that job's last
start, and Slurm then fails the job for good ("Job credential revoked")."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `rlavr start-now`."""
    parser.add_argument(
        "folders",
        metavar="DIR",
        nargs="+",
        type=Path,
        help="a run, a sweep, or a folder with sweeps in it",
    )


def run(given: argparse.Namespace) -> int:
    """Remove the delay of every job that waits for it; returns the exit code."""
    waiting: dict[Path, tuple[RunState, QueuedJob]] = {}
    alone: list[RunState] = []
    for folder in given.folders:
        seen = query_status(folder)
        if seen.queue is None:
            raise SlurmError(seen.note or "squeue is not here: this is no node of a Slurm cluster")
        queue = {job.name: job for job in seen.queue}
        alone += [one for one in seen.runs if one.waits_in is WaitsIn.folder]
        for one in seen.runs:
            job = queue.get(one.job or "")
            if job is not None and not job.is_active:
                waiting[one.run] = (one, job)
    for one in alone:
        print(f"{one.name}: parked without a job; the command that started it goes on")
    return _start(list(waiting.values()))


def _start(waiting: Sequence[tuple[RunState, QueuedJob]]) -> int:
    code = ExitCode.DONE
    if any(_is_delayed(run, job) for run, job in waiting):
        time.sleep(REQUEUE_SECONDS)
    for run, job in waiting:
        if not _is_delayed(run, job):
            print(f"{run.name}: job {job.name} waits for something else: {why_waiting(job)}")
            continue
        try:
            if run.waits_in is WaitsIn.queue:
                commands.release(job.name)
            commands.start_now(job.name)
            labels = f", with {run.pending or 'its'} labels pending" * (run.waits_in is not None)
            print(f"{run.name}: job {job.name} may start now{labels}")
        except SlurmError as error:
            print(f"{run.name}: job {job.name}: {error}")
            code = ExitCode.FAILED
    if not waiting:
        print("no job waits")
    return code


def _is_delayed(run: RunState, job: QueuedJob) -> bool:
    """Whether Slurm's delay, or the hold until labels are there, is what keeps it."""
    return job.reason == "BeginTime" or (run.waits_in is WaitsIn.queue and is_held(job))
