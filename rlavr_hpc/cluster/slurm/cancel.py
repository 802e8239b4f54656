"""Ending jobs for good: on record first, so that nothing takes the end for a crash."""

from __future__ import annotations

import getpass
from collections.abc import Mapping, Sequence
from pathlib import Path

from rlavr_hpc.cluster.slurm import commands
from rlavr_hpc.cluster.slurm.commands import SlurmError
from rlavr_hpc.errors import RlavrError
from rlavr_hpc.runs.checkpoints import FOLDER, MANIFEST, STEP_NAME
from rlavr_hpc.runs.queued_job import QueuedJob
from rlavr_hpc.runs.stops import CANCELLATION, Cause, Stop, stop_path, write_stop

AT_ONCE = 200
"""Jobs that one scancel names."""


def end_jobs(jobs: Mapping[str, tuple[Path, QueuedJob]]) -> list[str]:
    """Cancel jobs, waiting or running.

    Args:
        jobs: by A_T, the run that the job has, and what the queue says of it.

    Returns:
        Those that are still in the queue, other than to end.

    Raises:
        RlavrError: Slurm does not answer, or it cannot be put on record; the jobs go on.
    """
    for name, (run, job) in jobs.items():
        _record_cancellation(run, name, job)
    names = list(jobs)
    refused = None
    try:
        for start in range(0, len(names), AT_ONCE):
            commands.cancel(names[start : start + AT_ONCE])
    except SlurmError as error:
        refused = error
    left = _still_queued(jobs)
    for name in left:
        stop_path(jobs[name][0], name, CANCELLATION).unlink(missing_ok=True)
    if refused is not None and left:
        raise refused
    return left


def _still_queued(jobs: Mapping[str, object]) -> list[str]:
    """Jobs that wait or run as before."""
    return [job.name for job in commands.queue() if job.name in jobs and job.state != "COMPLETING"]


def _record_cancellation(run: Path, name: str, job: QueuedJob) -> None:
    was = "ran" if job.is_active else "waited"
    stop = Stop(
        job=name,
        restart=CANCELLATION,
        cause=Cause.cancelled,
        again=False,
        exit_code=0,
        checkpoint=newest_step(run),
        node=job.nodes,
        message=f"cancelled by {getpass.getuser()} while it {was}",
    )
    try:
        write_stop(run, stop)
    except OSError as error:
        raise RlavrError(
            f"job {name} is not cancelled: {run}/stops cannot be written ({error.strerror})"
        ) from error


def newest_step(run: Path) -> int:
    """Step of the newest checkpoint, whose files are not looked at; -1 without one."""
    found = (STEP_NAME.fullmatch(path.parent.name) for path in _manifests(run))
    return max((int(match[1]) for match in found if match), default=-1)


def _manifests(run: Path) -> Sequence[Path]:
    return list((run / FOLDER).glob(f"*/{MANIFEST}"))
