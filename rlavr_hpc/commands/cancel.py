"""`rlavr cancel DIR...`: end the jobs of runs or sweeps for good."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rlavr_hpc.cluster.slurm.cancel import end_jobs
from rlavr_hpc.cluster.slurm.commands import SlurmError
from rlavr_hpc.errors import ExitCode, RlavrError
from rlavr_hpc.overview.status_query import query_status
from rlavr_hpc.runs.cancelled_wait import cancel_wait
from rlavr_hpc.runs.heartbeat import read_heartbeat
from rlavr_hpc.runs.queued_job import QueuedJob
from rlavr_hpc.runs.state_types import State, WaitsIn
from rlavr_hpc.runs.states import RunState
from rlavr_hpc.runs.sweep_jobs import read_jobs

DESCRIPTION = """\
Cancel the jobs of runs, whether they wait or run. The jobs are not requeued. For a run that is
parked without a job no labels are asked for any more. Labels, metrics and checkpoints stay; to
continue later, give the sweep's command again or use `rlavr retry`.
"""
EPILOG = """\
Examples:
  rlavr cancel runs/study
  rlavr cancel runs/study/0a1b2c3d

Exit codes: 0 every job is cancelled or had ended, 1 something still runs, 2 no run found.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `rlavr cancel`."""
    parser.add_argument(
        "folders",
        metavar="DIR",
        nargs="+",
        type=Path,
        help="a run, a sweep, or a folder with sweeps in it",
    )


def run(given: argparse.Namespace) -> int:
    """Cancel; returns the exit code."""
    folders: Sequence[Path] = given.folders
    runs: dict[Path, RunState] = {}
    jobs: dict[str, tuple[Path, QueuedJob]] = {}
    for folder in folders:
        seen = query_status(folder)
        if seen.queue is None and seen.note:
            raise SlurmError(f"nothing was cancelled. {seen.note}")
        runs |= {run.run: run for run in seen.runs}
        for sweep in {run.run.parent for run in seen.runs}:
            known = read_jobs(sweep, seen.queue)
            for run in seen.runs:
                if run.run.parent == sweep:
                    queued = known.queued(run.run, also=run.job)
                    jobs |= {job.name: (run.run, job) for job in queued}
    left = end_jobs(jobs) if jobs else []
    had = {folder for folder, _ in jobs.values()}
    parked = [run for run in runs.values() if run.run not in had and _cancel_parked(run)]
    return _tell(runs, jobs, left, parked)


def _cancel_parked(run: RunState) -> bool:
    """End the waiting of a run that parked and has no job; False = it is no such run."""
    beat = read_heartbeat(run.run).heartbeat
    alone = run.waits_in is WaitsIn.folder or run.state is State.stopped
    if beat is None or not beat.parked or not alone:
        return False
    try:
        cancel_wait(run.run, beat.attempt)
    except OSError as error:
        raise RlavrError(
            f"{run.name} is not cancelled: its folder cannot be written ({error.strerror})"
        ) from error
    return True


def _tell(
    runs: dict[Path, RunState],
    jobs: dict[str, tuple[Path, QueuedJob]],
    left: Sequence[str],
    parked: Sequence[RunState],
) -> int:
    for name, (folder, job) in jobs.items():
        run = runs[folder]
        was = job.state.lower() if run.waits_in is None else str(run.state)
        said = "NOT cancelled: Slurm still has it" if name in left else "cancelled"
        print(f"{run.name}: job {name} {said} (was {was}, step {run.step})")
    for run in parked:
        print(
            f"{run.name}: cancelled (was parked without a job, step {run.step}): nothing is asked "
            "for it any more; the command that started it goes on"
        )
    had = {*(folder for folder, _ in jobs.values()), *(run.run for run in parked)}
    others = [run for run in runs.values() if run.run not in had]
    going = [run for run in others if run.is_active]
    for run in going:
        where = f" on {run.node}" if run.node else ""
        print(
            f"{run.name}: NOT cancelled: {run.state}{where} without a job in Slurm's queue; "
            "end its process there"
        )
    counted = Counter(run.state for run in others if not run.is_active)
    if counted:
        text = ", ".join(f"{number} {state}" for state, number in counted.items())
        print(f"no job to cancel: {text}")
    return ExitCode.FAILED if left or going else ExitCode.DONE
