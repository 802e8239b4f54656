"""Where every run of a sweep stands: its folder, the submissions' records, one look at the queue.

No accounting is asked: Slurm says what waits and runs, the folders say the rest. See `verdicts` for
what follows from what.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rlavr_hpc.runs.evidence import RunFacts, read_facts
from rlavr_hpc.runs.found_runs import FoundRuns, Jobs, find, find_runs, read_jobs
from rlavr_hpc.runs.queued_job import QueuedJob
from rlavr_hpc.runs.state_rules import judge_state
from rlavr_hpc.runs.state_types import RunEvidence, State

__all__ = ["RunState", "State", "find_runs", "states"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """Where a run stands."""

    run: Path
    name: str
    """Relative to the folder that was asked about."""
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
    """For the whole run; None = nothing is said of it."""
    accuracy: float | None
    """Held-out mean@n of the last evaluation."""
    risk: float | None
    """`collapse/risk` of the last step."""
    attempts: int
    node: str | None
    """Where it runs, or said so last."""
    job: str | None
    """A_T of its newest job, or of an older one that is still in the queue."""
    reason: str
    """Why it is in this state, in words; "" where the state says it all."""
    heartbeat_age: float | None
    """Seconds since it last said something."""


def states(
    folder: Path, *, queue: Sequence[QueuedJob] | None, now: float | None = None
) -> list[RunState]:
    """The state of every run at or below a folder.

    Args:
        folder: a run, a sweep, or a folder of sweeps.
        queue: my jobs, as squeue lists them; None = there is no Slurm here.
        now: unix time; None = now.
    """
    jobs: dict[Path, Jobs] = {}
    clock = time.time() if now is None else now
    told = []
    for found in find(folder):
        sweep = found.run.parent
        if sweep not in jobs:
            jobs[sweep] = read_jobs(sweep, queue)
        told.append(_state(found, jobs[sweep], clock))
    return told


def _state(found: FoundRuns, jobs: Jobs, now: float) -> RunState:
    if found.problem is not None:
        return _unreadable(found)
    facts = read_facts(found.run)
    beat = facts.beat
    places = jobs.places.get(found.run.name, ())
    queued = jobs.queued(found.run, besides=beat.job if beat else None)
    job = queued[0] if queued else None
    recorded = next((place.job for place in places if place.job is not None), None)
    named = job.name if job else recorded or (beat.job if beat else None)
    case = RunEvidence(
        facts=facts,
        planned_steps=found.steps,
        job=job,
        named=named,
        submitted=bool(places),
        has_slurm=jobs.queue is not None,
        now=now,
    )
    verdict = judge_state(case)
    steps = max(beat.steps if beat else 0, found.steps or 0) or facts.done_steps
    step = _step(facts, verdict.state, steps)
    problems = [] if job else jobs.problems
    return RunState(
        run=found.run,
        name=found.name,
        overrides=found.overrides,
        state=verdict.state,
        step=step,
        steps=steps,
        eta_seconds=_eta(facts, verdict.state, step, steps),
        labels_bought=beat.labels_bought if beat else None,
        labels_allowed=_first(beat.labels_allowed if beat else None, found.labels_allowed),
        accuracy=beat.accuracy if beat else None,
        risk=beat.risk if beat else None,
        attempts=facts.attempts,
        node=_node(facts, job),
        job=named,
        reason="; ".join(filter(None, (verdict.reason, facts.problem, *problems))),
        heartbeat_age=max(0.0, now - beat.time) if beat else None,
    )


def _unreadable(found: FoundRuns) -> RunState:
    """What should have been runs."""
    return RunState(
        run=found.run,
        name=found.name,
        overrides=(),
        state=State.failed,
        step=0,
        steps=None,
        eta_seconds=None,
        labels_bought=None,
        labels_allowed=None,
        accuracy=None,
        risk=None,
        attempts=0,
        node=None,
        job=None,
        reason=found.problem or "",
        heartbeat_age=None,
    )


def _first(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)


def _step(facts: RunFacts, state: State, steps: int | None) -> int:
    if state is State.done:
        return facts.done_steps or steps or 0
    return facts.beat.step if facts.beat else 0


def _eta(facts: RunFacts, state: State, step: int, steps: int | None) -> float | None:
    pace = facts.beat.seconds_per_step if facts.beat else None
    if state is not State.running or pace is None or steps is None:
        return None
    return pace * max(0, steps - step)


def _node(facts: RunFacts, job: QueuedJob | None) -> str | None:
    if job is not None:
        return job.nodes or None
    beat = facts.beat
    return (beat.node or beat.host) if beat is not None else None
