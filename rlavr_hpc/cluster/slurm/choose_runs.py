"""Which runs of a sweep are submitted when the sweep is started again, and which are left alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rlavr_hpc.cluster.slurm import commands
from rlavr_hpc.errors import UserError
from rlavr_hpc.runs.folder import StartKind, check_start
from rlavr_hpc.runs.state_types import WaitsIn
from rlavr_hpc.runs.states import RunState, State, states
from rlavr_hpc.runs.submissions import submissions
from rlavr_hpc.runs.sweep_plan import PlannedRun

ENDED = (State.failed, State.cancelled)
"""Not repeated unless the config says retry_failed=true."""
CONTINUED = (State.planned, State.stopped)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitChoice:
    """What happens with one run when its sweep is started."""

    job: PlannedRun
    submit: bool
    message: str
    refused: bool = False
    """Its folder cannot be used for it."""


def states_by_name(sweep: Path) -> dict[str, RunState]:
    """Where a sweep's runs stand, by the names of their folders.

    Raises:
        RlavrError: a submission's record cannot be read, so its jobs would be submitted twice.
    """
    for _ in submissions(sweep):
        pass
    found = states(sweep, queue=commands.queue())
    return {state.name: state for state in found if "/" not in state.name}


def choose(job: PlannedRun, state: RunState | None) -> SubmitChoice:
    """What happens with a run, given its config and where it stands."""
    try:
        start = check_start(job.folder, job.config)
    except UserError as error:
        return SubmitChoice(job=job, submit=False, refused=True, message=f"left: {error}")
    if start is StartKind.finished:
        return SubmitChoice(job=job, submit=False, message="finished: skipped")
    if state is None or state.state in (*CONTINUED, State.done) or _is_parked_alone(state):
        first = start is StartKind.fresh or state is None
        return SubmitChoice(
            job=job, submit=True, message="submitted" if first else "submitted to continue"
        )
    if state.state in ENDED and job.config.retry_failed:
        return SubmitChoice(job=job, submit=True, message=f"{state.state}: submitted again")
    return SubmitChoice(job=job, submit=False, message=_why_left(job, state))


def _is_parked_alone(state: RunState) -> bool:
    """Whether it waits for labels and has no job that could be released."""
    return state.waits_in is WaitsIn.folder


def _why_left(job: PlannedRun, state: RunState) -> str:
    if state.state in ENDED:
        return f"{state.state}: left; retry_failed=true submits it again"
    if state.state is State.unknown:
        return f"unknown ({state.reason}): left; `rlavr retry {job.folder}` submits it again"
    if state.job is None:
        return f"{state.state} outside of Slurm: left alone"
    return f"{state.state} as {state.job}: left alone"
