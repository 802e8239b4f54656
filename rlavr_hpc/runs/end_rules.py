"""What state a run is in that neither waits nor runs: how it ended, or that it never began."""

from __future__ import annotations

from datetime import datetime

from rlavr_hpc.errors import ExitCode, RlavrError
from rlavr_hpc.runs.evidence import RunFacts, process_lives
from rlavr_hpc.runs.heartbeat import LastHeartbeat
from rlavr_hpc.runs.label_wait import judge_parked, judge_parked_job
from rlavr_hpc.runs.state_types import (
    KILL_SECONDS,
    SKEW_SECONDS,
    JudgedState,
    RunEvidence,
    State,
    format_duration,
)
from rlavr_hpc.runs.stops import Cause, Stop, describe_stop


def judge_ended(case: RunEvidence) -> JudgedState:
    """The state by the last stop on record or the last heartbeat, whichever is newer."""
    facts = case.facts
    if facts.done_steps is not None:
        words = f"done with {facts.done_steps} steps; {case.planned_steps} are planned now"
        return JudgedState(state=State.planned, reason=words)
    if facts.done_damaged:
        return JudgedState(state=State.unknown)
    return _judge_rolled_back(facts) or _judge_unfinished(case)


def _judge_unfinished(case: RunEvidence) -> JudgedState:
    """The same of a run that was neither finished nor rolled back since it ran."""
    facts, beat = case.facts, case.facts.heartbeat
    try:
        stop = facts.last_stop()
    except RlavrError as error:
        return JudgedState(state=State.unknown, reason=f"how it ended is not known: {error}")
    if stop is not None and (beat is None or not is_newer(beat, stop, facts)):
        return _judge_stopped(case, stop)
    if beat is None:
        return _judge_without_heartbeat(case)
    if beat.alive and not case.has_slurm and case.submitted and beat.job is not None:
        silence = f"no heartbeat for {format_duration(case.age)}; Slurm is not here to ask"
        return JudgedState(state=State.stalled, reason=silence)
    if beat.alive:
        return _judge_vanished(case, beat)
    return judge_parked(case) or _judge_by_last_words(case, beat)


def _judge_rolled_back(facts: RunFacts) -> JudgedState | None:
    """Of a run that was rolled back and not started again; None of any other."""
    token = facts.rolled_back()
    if token is None:
        return None
    failure = facts.last_failure()
    if failure is not None and failure.time > datetime.fromisoformat(token.started).timestamp() + 1:
        return JudgedState(state=State.failed, reason=failure.error)  # started again, in vain
    where = f"to step {token.resumed_from}" if token.resumed_from else "to its start"
    return JudgedState(
        state=State.stopped,
        reason=f"rolled back {where}; branch {token.branch} begins when the run is started again",
        step=token.resumed_from,
    )


def is_newer(beat: LastHeartbeat, stop: Stop, facts: RunFacts) -> bool:
    """Whether the heartbeat is of a later start than the stop; a job's last word is its stop."""
    if beat.job is None or beat.job != stop.job:
        return beat.time > stop.time
    if facts.cancelled(stop.job):
        return False
    return (beat.restart or 0) > stop.restart


def last_stop(case: RunEvidence, job: str | None = None) -> Stop | None:
    """The newest stop of this job (of all jobs); None without one that can be read."""
    try:
        return case.facts.last_stop(job)
    except RlavrError:
        return None


def _judge_stopped(case: RunEvidence, stop: Stop) -> JudgedState:
    words = describe_stop(stop)
    if stop.cause is Cause.cancelled:
        return JudgedState(state=State.cancelled, reason=words)
    if stop.cause is Cause.waiting_for_labels:
        return judge_parked_job(case, stop)
    if stop.again:
        state = State.preempted if stop.cause is Cause.preempted else State.requeued
        if not case.has_slurm:
            return JudgedState(state=state, reason=f"{words}; whether it waits is not known here")
        if case.now < stop.time + KILL_SECONDS:  # Slurm lists it nowhere for a moment
            return JudgedState(state=state, reason=f"{words}; on its way back into the queue")
        words += "; it was to continue by itself, but its job is gone"
    given_up = stop.cause is Cause.time_limit and not stop.again
    if given_up or stop.cause in (Cause.crashed, Cause.mistake, Cause.done):
        return JudgedState(state=State.failed, reason=words)
    return JudgedState(state=State.stopped, reason=words)


def _judge_without_heartbeat(case: RunEvidence) -> JudgedState:
    facts, failure = case.facts, case.facts.last_failure()
    if failure is not None:
        return JudgedState(state=State.failed, reason=failure.error)
    if facts.heartbeat_fault is not None:
        gone = process_lives(facts) is False
        state = State.failed if gone else State.unknown
        return JudgedState(state=state, reason="its process is gone" if gone else "")
    if facts.attempts:
        return JudgedState(
            state=State.failed, reason="it began and vanished before it wrote a heartbeat"
        )
    if case.named is None:
        words = "it was never submitted" if not case.submitted else "its job's id is not on record"
        return JudgedState(state=State.planned, reason=words if case.has_slurm else "")
    if not case.has_slurm:
        words = f"submitted as job {case.named}; whether it waits is not known here"
    else:
        words = f"Slurm does not know its job {case.named} any more, and nothing ran"
    return JudgedState(state=State.planned, reason=words)


def _judge_vanished(case: RunEvidence, beat: LastHeartbeat) -> JudgedState:
    failure = case.facts.last_failure()
    if failure is not None and failure.time > beat.time - SKEW_SECONDS:
        return JudgedState(state=State.failed, reason=failure.error)
    return JudgedState(
        state=State.failed,
        reason=f"vanished: its last heartbeat, {format_duration(case.age)} ago, says {beat.state}, "
        "and no process of it is left",
    )


def _judge_by_last_words(case: RunEvidence, beat: LastHeartbeat) -> JudgedState:
    if beat.state == "stopped":
        warned = beat.exit_code == ExitCode.EARLY_WARNING
        words = "by the early warning" if warned else "by a signal"
        return JudgedState(state=State.stopped, reason=f"{words} after step {beat.step}")
    failure = case.facts.last_failure()
    if failure is not None:
        return JudgedState(state=State.failed, reason=failure.error)
    if beat.state == "done":
        return JudgedState(
            state=State.failed, reason="its heartbeat says done, but DONE.json is missing"
        )
    return JudgedState(state=State.failed, reason=f"failed after step {beat.step}")
