"""What state a run is in: the one function that every command takes it from.

Slurm knows which jobs wait and run, and forgets the others within minutes; the folder knows how far
the run came and how it ended. Where both speak, a job in the queue comes first, then whatever is
newer: the heartbeat or the record of the last stop. A run outside of Slurm is seen by its process
on this host, else by the age of its heartbeat.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from rlavr_hpc.runs.end_rules import is_newer, judge_ended, last_stop
from rlavr_hpc.runs.evidence import process_lives
from rlavr_hpc.runs.heartbeat import LastHeartbeat
from rlavr_hpc.runs.label_wait import judge_held, judge_in_memory
from rlavr_hpc.runs.queue_reasons import why_waiting
from rlavr_hpc.runs.queued_job import QueuedJob
from rlavr_hpc.runs.state_types import (
    KILL_SECONDS,
    SKEW_SECONDS,
    STARTING_SECONDS,
    JudgedState,
    RunEvidence,
    State,
    expand_nodes,
    format_duration,
)
from rlavr_hpc.runs.stops import Cause, describe_stop


def judge_state(case: RunEvidence) -> JudgedState:
    """The state of a run."""
    facts, beat = case.facts, case.facts.heartbeat
    finished = facts.done_steps
    if finished is not None and finished >= (case.planned_steps or 0):
        return JudgedState(state=State.done)
    if facts.done_damaged and beat is not None and beat.state == "done":
        return JudgedState(state=State.done)
    originals = case.job is None or (beat is not None and case.job.name == beat.job)
    if beat is not None and originals and case.copied_from is not None:
        return _judge_copy(replace(case, job=None), beat)
    if case.job is not None:
        return _judge_active(case, case.job) if case.job.is_active else _judge_waiting(case)
    return _judge_unlisted(case)


def _judge_unlisted(case: RunEvidence) -> JudgedState:
    """No job of it is in the queue, or there is no queue to look into."""
    if case.facts.unreadable:
        return JudgedState(state=State.unknown)
    if not case.has_slurm or _is_local(case):
        return _judge_by_process(case)
    if _is_fresh(case):
        job = f"that job {case.named} does not run" if case.named else "of no job of it"
        return _zombie(case, f"Slurm says {job}")
    return judge_ended(case)


def _judge_copy(case: RunEvidence, beat: LastHeartbeat) -> JudgedState:
    """A copy of a run's folder: whatever goes on, goes on in the other folder."""
    if not beat.alive:
        return judge_ended(case)
    reason = f"a copy of {case.copied_from}, made while the run was going on there; nothing writes "
    return JudgedState(state=State.stopped, reason=f"{reason}here")


def _is_local(case: RunEvidence) -> bool:
    """Whether no job of Slurm's has had the run last; older heartbeats do not say."""
    beat = case.facts.heartbeat
    if beat is None or beat.process is None:
        return not case.submitted
    return beat.job is None


def _is_fresh(case: RunEvidence) -> bool:
    """Whether a process that is not about to end has written the heartbeat."""
    return case.fresh and not _is_ending(case)


def _is_ending(case: RunEvidence) -> bool:
    """Whether the heartbeat's own start has ended just now, and its processes with it."""
    beat = case.facts.heartbeat
    stop = last_stop(case, beat.job) if beat and beat.job else None
    if beat is None or stop is None or is_newer(beat, stop, case.facts):
        return False
    return case.now < stop.time + KILL_SECONDS


def _zombie(case: RunEvidence, why: str) -> JudgedState:
    beat = case.facts.heartbeat
    assert beat is not None
    return JudgedState(
        state=State.zombie,
        reason=f"heartbeat {case.age:.0f} s ago on {beat.node or beat.host} at step {beat.step}, "
        f"but {why}; what it writes stops counting when the next start begins",
    )


# --- its job waits ---------------------------------------------------------------------------


def _judge_waiting(case: RunEvidence) -> JudgedState:
    job = case.job
    assert job is not None
    if _is_fresh(case):
        return _zombie(case, f"Slurm says that job {job.name} waits")
    waits = why_waiting(job)
    if not _has_begun(case, job):
        return JudgedState(state=State.queued, reason=waits)
    stop = last_stop(case, job.name)
    beat = case.facts.heartbeat
    if stop is None or (beat is not None and is_newer(beat, stop, case.facts)):
        if beat is not None and beat.parked:
            return judge_held(case, job)
        cause = "killed with its batch script: preempted without grace, or its node was lost"
        return JudgedState(state=State.requeued, reason=f"{cause}; {waits}")
    if stop.cause is Cause.waiting_for_labels:
        return judge_held(case, job)
    state = State.preempted if stop.cause is Cause.preempted else State.requeued
    return JudgedState(state=state, reason=f"{describe_stop(stop)}; {waits}")


def _has_begun(case: RunEvidence, job: QueuedJob) -> bool:
    """Whether this job ran before; files of older versions do not say whose they are."""
    beat = case.facts.heartbeat
    unnamed = beat is not None and beat.job is None and job.reason == "BeginTime"
    return unnamed or case.facts.ran(job.name)


# --- its job runs ----------------------------------------------------------------------------


def _judge_active(case: RunEvidence, job: QueuedJob) -> JudgedState:
    beat, started = case.facts.heartbeat, _parse_time(job.start)
    if job.state == "COMPLETING":
        return JudgedState(state=State.running, reason="its job is ending")
    if case.facts.heartbeat_fault is not None or case.facts.unreadable:
        return JudgedState(state=State.running, reason=f"Slurm says that job {job.name} runs")
    if case.fresh and _is_on_other_node(case, job):
        return _zombie(case, f"Slurm says that job {job.name} runs on {job.nodes}")
    if beat is None or _is_older(beat, job, started):
        since = case.now - started if started is not None else 0.0
        if since > STARTING_SECONDS:
            return JudgedState(
                state=State.stalled,
                reason=f"its job has been running for {format_duration(since)} without a heartbeat",
            )
        return JudgedState(state=State.running, reason="starting")
    if case.age > case.patience:
        silence = f"no heartbeat for {format_duration(case.age)}; the last one says {beat.state}"
        return JudgedState(state=State.stalled, reason=silence)
    reason = "starting" if beat.state == "starting" else "" if beat.alive else "its job is ending"
    return judge_in_memory(case) or JudgedState(state=State.running, reason=reason)


def _is_older(beat: LastHeartbeat, job: QueuedJob, started: float | None) -> bool:
    """Whether the heartbeat is of an earlier start than the one that Slurm says runs now."""
    if beat.job is not None and beat.job != job.name:
        return True
    return started is not None and beat.time < started - SKEW_SECONDS


def _is_on_other_node(case: RunEvidence, job: QueuedJob) -> bool:
    beat = case.facts.heartbeat
    assert beat is not None
    named = bool(beat.node and job.nodes)
    return named and beat.node not in expand_nodes(job.nodes)


def _parse_time(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()  # squeue speaks in this host's local time
    except ValueError:
        return None


# --- outside of Slurm --------------------------------------------------------------------------


def _judge_by_process(case: RunEvidence) -> JudgedState:
    """A run whose processes are not Slurm's, or Slurm does not answer."""
    beat = case.facts.heartbeat
    lives = process_lives(case.facts)
    if beat is None:
        if not lives:
            return judge_ended(case)
        reason = "its process lives" if case.facts.heartbeat_fault else "starting"
        return JudgedState(state=State.running, reason=reason)
    if not beat.alive:
        return judge_ended(case)
    if lives is None:
        lives = case.age < case.patience
    elif lives and case.age > case.patience:
        pid = beat.process.pid if beat.process else ""
        silence = f"its process {pid} lives, but sent no heartbeat for {format_duration(case.age)}"
        return JudgedState(state=State.stalled, reason=silence)
    if not lives:
        return judge_ended(case)
    reason = "starting" if beat.state == "starting" else ""
    return judge_in_memory(case) or JudgedState(state=State.running, reason=reason)
