"""The state of every run below a folder: from its files, its submissions and one look at the queue.

Needs no accounting: Slurm lists what waits and runs, the folders say the rest. Commands, the
launchers and the analysis all take states from here; `state_rules` says what follows from what.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlavr_hpc.runs.evidence import RunFacts, read_facts
from rlavr_hpc.runs.find import FoundFolder, find_runs, found_run
from rlavr_hpc.runs.heartbeat import PENDING, LastHeartbeat
from rlavr_hpc.runs.queued_job import QueuedJob
from rlavr_hpc.runs.state_rules import judge_state
from rlavr_hpc.runs.state_types import ACTIVE_STATES, JudgedState, RunEvidence, State, WaitsIn
from rlavr_hpc.runs.sweep_jobs import SweepJobs, read_jobs

__all__ = ["RunState", "State", "StateReader", "run_state", "states"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """Where a run stands."""

    run: Path
    name: str
    """Relative to the folder that was searched."""
    overrides: tuple[str, ...]
    """Those that tell it from the other runs of its sweep; () where none are planned."""
    state: State
    step: int
    """The last one finished; 0 before the first."""
    steps: int | None
    """None = not known before the run says so."""
    eta_seconds: float | None
    """Until it is done at its present pace; None unless it runs."""
    labels_bought: int | None
    labels_allowed: int | None
    """For the whole run; None = not known."""
    accuracy: float | None
    """Held-out mean@n of the last evaluation."""
    risk: float | None
    """`collapse/risk` of the last step."""
    attempts: int
    node: str | None
    """Where it runs, or ran last."""
    job: str | None
    """A_T of its newest job, or of an older one that is still in the queue."""
    reason: str
    """Why it is in this state, in words; "" where the state says it all."""
    heartbeat_age: float | None
    """Seconds since the last heartbeat."""
    note: str = ""
    """What is wrong with its steps and what mends it, and what audits say; "" = nothing."""
    pending: int | None = None
    """Labels that it waits for; of a parked run, as many as were pending when it parked."""
    pending_since: float | None = None
    """Unix time since when it has waited for them."""
    source: str | None = None
    """Whom it has asked for them."""
    waits_in: WaitsIn | None = None
    """Where a run that waits for labels is: in memory, in the queue, or in its folder alone."""

    @property
    def is_active(self) -> bool:
        """Whether a process of it may still write."""
        return self.state in ACTIVE_STATES or self.waits_in is WaitsIn.memory


def states(
    folder: Path, *, queue: Sequence[QueuedJob] | None, now: float | None = None
) -> list[RunState]:
    """The state of every run at or below a folder, and of what may be one and cannot be read.

    Args:
        folder: a run, a sweep, or a folder that runs lie below.
        queue: my jobs, as squeue lists them; None = there is no Slurm here.
        now: unix time; None = now.
    """
    reader = StateReader(queue, now=now)
    top = Path(os.path.abspath(folder))  # noqa: PTH100 - links stay as the user named them
    return [reader.read(found) for found in find_runs(top) if not found.foreign]


def run_state(run: Path, *, queue: Sequence[QueuedJob] | None) -> RunState:
    """The state of the run in this folder.

    Args:
        run: the run's folder.
        queue: my jobs, as squeue lists them; None = there is no Slurm here.
    """
    return StateReader(queue).read(found_run(run))


class StateReader:
    """Tells the state of found runs; reads the submissions of each sweep once."""

    def __init__(self, queue: Sequence[QueuedJob] | None, *, now: float | None = None) -> None:
        """`queue`: my jobs, None without Slurm; `now`: unix time at which to judge, None = now."""
        self._queue = queue
        self._now = now
        self._jobs: dict[Path, SweepJobs] = {}

    def read(self, found: FoundFolder) -> RunState:
        """The state of a run, or of what may be one and cannot be read."""
        sweep = Path(os.path.abspath(found.folder)).parent  # noqa: PTH100
        if sweep not in self._jobs:
            self._jobs[sweep] = read_jobs(sweep, self._queue)
        now = time.time() if self._now is None else self._now
        return _state(found, self._jobs[sweep], now)


def _state(found: FoundFolder, jobs: SweepJobs, now: float) -> RunState:
    facts = read_facts(found.folder)
    beat = facts.heartbeat
    case, job = _evidence(found, facts, jobs, now)
    judged = JudgedState(state=State.unknown) if found.is_plan else judge_state(case)
    steps = max(beat.steps if beat else 0, found.steps or 0) or facts.done_steps
    step = _step(facts, judged.state, steps) if judged.step is None else judged.step
    problem = f"{found.folder} {found.problem}" if found.problem else None
    problems = [problem, *(() if found.problem and facts.unreadable else (facts.problem,))]
    reasons = (judged.reason, *problems, *(() if job else jobs.problems))
    return RunState(
        run=found.folder,
        name=found.name,
        overrides=found.overrides,
        state=judged.state,
        step=step,
        steps=steps,
        eta_seconds=_eta(facts, judged.state, step, steps),
        labels_bought=beat.labels_bought if beat else None,
        labels_allowed=_first(beat.labels_allowed if beat else None, found.labels_allowed),
        accuracy=beat.accuracy if beat else None,
        risk=beat.risk if beat else None,
        attempts=facts.attempts,
        node=_node(facts, job),
        job=case.named,
        reason="; ".join(filter(None, reasons)),
        heartbeat_age=max(0.0, now - beat.time) if beat else None,
        note=beat.note if beat else "",
        waits_in=judged.waits_in,
        **_pending(beat, judged.state),
    )


def _pending(beat: LastHeartbeat | None, state: State) -> dict[str, Any]:
    """What a run waits for that waits for labels; nothing of any other."""
    if beat is None or state is not State.waiting_for_labels:
        return {}
    return {name: getattr(beat, name) for name in PENDING}


def _evidence(
    found: FoundFolder, facts: RunFacts, jobs: SweepJobs, now: float
) -> tuple[RunEvidence, QueuedJob | None]:
    """All that is known of a run, with its job in the queue."""
    beat = facts.heartbeat
    name = os.path.basename(os.path.abspath(found.folder))  # noqa: PTH100, PTH119 - fast
    places = jobs.places.get(name, ())
    queued = jobs.queued(found.folder, also=beat.job if beat else None)
    job = queued[0] if queued else None
    recorded = next((place.job for place in places if place.job is not None), None)
    evidence = RunEvidence(
        facts=facts,
        planned_steps=found.steps,
        job=job,
        named=job.name if job else recorded or (beat.job if beat else None),
        submitted=bool(places),
        has_slurm=jobs.queue is not None,
        now=now,
    )
    return evidence, job


def _first(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)


def _step(facts: RunFacts, state: State, steps: int | None) -> int:
    if state is State.done:
        return facts.done_steps or steps or 0
    return facts.heartbeat.step if facts.heartbeat else 0


def _eta(facts: RunFacts, state: State, step: int, steps: int | None) -> float | None:
    pace = facts.heartbeat.seconds_per_step if facts.heartbeat else None
    if state is not State.running or pace is None or steps is None:
        return None
    return pace * max(0, steps - step)


def _node(facts: RunFacts, job: QueuedJob | None) -> str | None:
    if job is not None:
        return job.nodes or None
    beat = facts.heartbeat
    return (beat.node or beat.host) if beat is not None else None
