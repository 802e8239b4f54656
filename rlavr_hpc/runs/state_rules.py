"""What state a run is in, by its folder and by its job.

Slurm knows which jobs wait and run, and forgets the others within minutes; the folder knows how far
the run came and how it ended. Where both speak, a job in the queue comes first, then whatever is
newer: the heartbeat or the record of the last stop. What a run of the local launcher does is seen
by its process on this host, else by the age of its heartbeat.
"""

from __future__ import annotations

from datetime import datetime

from rlavr_hpc.errors import ExitCode, RlavrError
from rlavr_hpc.runs.evidence import LastHeartbeat, RunFacts, process_lives
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
    in_words,
)
from rlavr_hpc.runs.stops import Cause, Stop


def judge_state(case: RunEvidence) -> JudgedState:
    """The state of a run."""
    finished = case.facts.done_steps
    if finished is not None and finished >= (case.planned_steps or 0):
        return JudgedState(state=State.done)
    if case.job is not None:
        return _active(case, case.job) if case.job.is_active else _waiting(case, case.job)
    if not case.has_slurm or _is_local(case):
        return _unseen(case)
    if case.fresh and not _is_ending(case):
        job = f"that job {case.named} does not run" if case.named else "of no job of it"
        return _zombie(case, f"Slurm says {job}")
    return _over(case)


def _is_local(case: RunEvidence) -> bool:
    """Whether no job of Slurm's has had the run last; older heartbeats do not say."""
    beat = case.facts.beat
    if beat is None or beat.pid is None:
        return not case.submitted
    return beat.job is None


def _is_ending(case: RunEvidence) -> bool:
    """Whether the heartbeat's own start has ended just now, and its processes with it."""
    beat = case.facts.beat
    stop = _last_stop(case, beat.job) if beat and beat.job else None
    if beat is None or stop is None or _is_newer(beat, stop, case.facts):
        return False
    return case.now < stop.time + KILL_SECONDS


def _zombie(case: RunEvidence, why: str) -> JudgedState:
    beat = case.facts.beat
    assert beat is not None
    return JudgedState(
        state=State.zombie,
        reason=f"it said {case.age:.0f} s ago on {beat.node or beat.host} that it is at step "
        f"{beat.step}, but {why}; nothing that it still writes counts once the next start begins",
    )


# --- its job waits ---------------------------------------------------------------------------


def _waiting(case: RunEvidence, job: QueuedJob) -> JudgedState:
    if case.fresh and not _is_ending(case):
        return _zombie(case, f"Slurm says that job {job.name} waits")
    waits = why_waiting(job)
    if not _has_begun(case, job):
        return JudgedState(state=State.queued, reason=waits)
    stop = _last_stop(case, job.name)
    beat = case.facts.beat
    if stop is None or (beat is not None and _is_newer(beat, stop, case.facts)):
        told = "killed with its batch script: preempted without grace, or its node was lost"
        return JudgedState(state=State.requeued, reason=f"{told}; {waits}")
    state = State.preempted if stop.cause is Cause.preempted else State.requeued
    return JudgedState(state=state, reason=f"{_in_words(stop)}; {waits}")


def _has_begun(case: RunEvidence, job: QueuedJob) -> bool:
    """Whether this job ran before; files of older versions do not say whose they are."""
    beat = case.facts.beat
    untold = beat is not None and beat.job is None and job.reason == "BeginTime"
    return untold or case.facts.ran(job.name)


# --- its job runs ----------------------------------------------------------------------------


def _active(case: RunEvidence, job: QueuedJob) -> JudgedState:
    beat, started = case.facts.beat, _time(job.start)
    if job.state == "COMPLETING":
        return JudgedState(state=State.running, reason="its job is ending")
    if case.fresh and _elsewhere(case, job):
        return _zombie(case, f"Slurm says that job {job.name} runs on {job.nodes}")
    if beat is None or _is_older(beat, job, started):
        since = case.now - started if started is not None else 0.0
        if since > STARTING_SECONDS:
            return JudgedState(
                state=State.stalled,
                reason=f"its job has been running for {in_words(since)} without a heartbeat",
            )
        return JudgedState(state=State.running, reason="starting")
    if case.age > case.patience:
        said = f"said {in_words(case.age)} ago that it is {beat.state}, and nothing since"
        return JudgedState(state=State.stalled, reason=said)
    reason = "starting" if beat.state == "starting" else "" if beat.alive else "its job is ending"
    return JudgedState(state=State.running, reason=reason)


def _is_older(beat: LastHeartbeat, job: QueuedJob, started: float | None) -> bool:
    """Whether the heartbeat is of an earlier start than the one that Slurm says runs now."""
    if beat.job is not None and beat.job != job.name:
        return True
    return started is not None and beat.time < started - SKEW_SECONDS


def _elsewhere(case: RunEvidence, job: QueuedJob) -> bool:
    beat = case.facts.beat
    assert beat is not None
    named = bool(beat.node and job.nodes)
    return named and beat.node not in expand_nodes(job.nodes)


def _time(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()  # squeue speaks in this host's local time
    except ValueError:
        return None


# --- no job of it is known -------------------------------------------------------------------


def _unseen(case: RunEvidence) -> JudgedState:
    """A run whose processes are not Slurm's, or Slurm cannot be asked."""
    beat = case.facts.beat
    lives = process_lives(case.facts)
    if beat is None:
        if lives:
            return JudgedState(state=State.running, reason="starting")
        return _over(case)
    if not beat.alive:
        return _over(case)
    if lives is None:
        lives = case.age < case.patience
    elif lives and case.age > case.patience:
        said = f"its process {beat.pid} lives, but has said nothing for {in_words(case.age)}"
        return JudgedState(state=State.stalled, reason=said)
    if not lives:
        return _over(case)
    return JudgedState(state=State.running, reason="starting" if beat.state == "starting" else "")


def _over(case: RunEvidence) -> JudgedState:
    """It neither waits nor runs, as far as can be known: what it said last, or who stopped it."""
    facts, beat = case.facts, case.facts.beat
    if facts.done_steps is not None:
        words = f"done with {facts.done_steps} steps; {case.planned_steps} are planned now"
        return JudgedState(state=State.planned, reason=words)
    try:
        stop = facts.last_stop()
    except RlavrError as error:
        return JudgedState(state=State.failed, reason=f"how it ended is not known: {error}")
    if stop is not None and (beat is None or not _is_newer(beat, stop, facts)):
        return _stopped(case, stop)
    if beat is None:
        return _never_spoke(case)
    if beat.alive and not case.has_slurm and case.submitted and beat.job is not None:
        said = f"silent for {in_words(case.age)}; whether its job runs is not known here"
        return JudgedState(state=State.stalled, reason=said)
    if beat.alive:
        return _vanished(case, beat)
    return _said(case, beat)


def _is_newer(beat: LastHeartbeat, stop: Stop, facts: RunFacts) -> bool:
    """Whether the heartbeat is of a later start than the stop; a job's last word is its stop."""
    if beat.job is None:
        return beat.time > stop.time
    if beat.job != stop.job:
        return beat.time > stop.time
    if facts.cancelled(stop.job):
        return False
    return (beat.restart or 0) > stop.restart


def _stopped(case: RunEvidence, stop: Stop) -> JudgedState:
    words = _in_words(stop)
    if stop.cause is Cause.cancelled:
        return JudgedState(state=State.cancelled, reason=words)
    if stop.again:
        state = State.preempted if stop.cause is Cause.preempted else State.requeued
        if not case.has_slurm:
            return JudgedState(state=state, reason=f"{words}; whether it waits is not known here")
        if case.now < stop.time + KILL_SECONDS:  # Slurm lists it nowhere for a moment
            return JudgedState(state=state, reason=f"{words}; on its way back into the queue")
        words += "; it was to go on by itself, but its job is gone"
    given_up = stop.cause is Cause.time_limit and not stop.again
    if given_up or stop.cause in (Cause.crashed, Cause.mistake, Cause.done):
        return JudgedState(state=State.failed, reason=words)
    return JudgedState(state=State.stopped, reason=words)


def _never_spoke(case: RunEvidence) -> JudgedState:
    failure = case.facts.last_failure()
    if failure is not None:
        return JudgedState(state=State.failed, reason=failure.error)
    if case.facts.attempts:
        return JudgedState(
            state=State.failed, reason="it began and vanished before it said anything"
        )
    if case.named is None:
        words = "it was never submitted" if not case.submitted else "its job's id is not on record"
        return JudgedState(state=State.planned, reason=words if case.has_slurm else "")
    if not case.has_slurm:
        words = f"submitted as job {case.named}; whether it waits is not known here"
    else:
        words = f"Slurm does not know its job {case.named} any more, and nothing ran"
    return JudgedState(state=State.planned, reason=words)


def _vanished(case: RunEvidence, beat: LastHeartbeat) -> JudgedState:
    failure = case.facts.last_failure()
    if failure is not None and failure.time > beat.time - SKEW_SECONDS:
        return JudgedState(state=State.failed, reason=failure.error)
    return JudgedState(
        state=State.failed,
        reason=f"vanished: it said {in_words(case.age)} ago that it is {beat.state}, and nobody "
        "runs it now",
    )


def _said(case: RunEvidence, beat: LastHeartbeat) -> JudgedState:
    """By its last words."""
    if beat.state == "stopped":
        warned = beat.exit_code == ExitCode.EARLY_WARNING
        words = "by the early warning" if warned else "by a signal"
        return JudgedState(state=State.stopped, reason=f"{words} after step {beat.step}")
    failure = case.facts.last_failure()
    if failure is not None:
        return JudgedState(state=State.failed, reason=failure.error)
    words = "its end says done, but DONE.json is not there" if beat.state == "done" else ""
    return JudgedState(state=State.failed, reason=words or f"failed after step {beat.step}")


def _last_stop(case: RunEvidence, job: str | None = None) -> Stop | None:
    try:
        return case.facts.last_stop(job)
    except RlavrError:
        return None


def _in_words(stop: Stop) -> str:
    if stop.message:
        return stop.message
    words = {
        Cause.preempted: "preempted",
        Cause.time_limit: "reached its time limit",
        Cause.requeued: "requeued by somebody, or preempted without grace",
        Cause.signalled: "stopped by a signal",
        Cause.cancelled: "cancelled",
        Cause.crashed: f"crashed with exit code {stop.exit_code}",
        Cause.mistake: "the config or its inputs cannot work (exit code 2)",
        Cause.early_warning: "stopped by the early warning",
        Cause.fenced: "superseded by a newer start",
        Cause.done: "says that it was done",
    }
    after = f" after step {stop.checkpoint}" if stop.checkpoint > 0 else ""
    return words[stop.cause] + after
