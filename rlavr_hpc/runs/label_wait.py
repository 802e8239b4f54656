"""What is said of a run that waits for labels: in memory, held in the queue, or parked alone."""

from __future__ import annotations

from rlavr_hpc.runs.cancelled_wait import is_wait_cancelled
from rlavr_hpc.runs.heartbeat import WAITING
from rlavr_hpc.runs.queue_reasons import is_held, why_waiting
from rlavr_hpc.runs.queued_job import QueuedJob
from rlavr_hpc.runs.source_failure import read_source_failure
from rlavr_hpc.runs.state_types import (
    KILL_SECONDS,
    JudgedState,
    RunEvidence,
    State,
    WaitsIn,
    format_duration,
)
from rlavr_hpc.runs.stops import Stop


def judge_in_memory(case: RunEvidence) -> JudgedState | None:
    """Of a run whose process lives; None unless it waits for labels."""
    beat = case.facts.heartbeat
    if beat is None or beat.state != WAITING:
        return None
    node = beat.node or beat.host
    return _waits(case, WaitsIn.memory, f"in memory on node {node}" if node else "in memory")


def judge_held(case: RunEvidence, job: QueuedJob) -> JudgedState:
    """Of a parked run whose job is in the queue."""
    if is_held(job):
        return _waits(case, WaitsIn.queue, "no process holds a node")
    return JudgedState(
        state=State.requeued, reason=f"parked for labels and released; {why_waiting(job)}"
    )


def judge_parked_job(case: RunEvidence, stop: Stop) -> JudgedState:
    """Of a parked run whose job is not seen in the queue."""
    beat = case.facts.heartbeat
    if beat is not None and is_wait_cancelled(case.facts.run, beat.attempt):
        return _cancelled()
    if not case.has_slurm:
        return _waits(case, WaitsIn.queue, "whether its job is still held is not known here")
    if stop.again and case.now < stop.time + KILL_SECONDS:  # Slurm lists it nowhere for a moment
        return _waits(case, WaitsIn.queue, "on its way back into the queue, to be held there")
    return _job_is_gone(case)


def judge_parked(case: RunEvidence) -> JudgedState | None:
    """By the last words of a run; None unless it parked."""
    beat = case.facts.heartbeat
    if beat is None or not beat.parked:
        return None
    if is_wait_cancelled(case.facts.run, beat.attempt):
        return _cancelled()
    if beat.job is None:
        return _waits(case, WaitsIn.folder, "no process holds a node")
    if not case.has_slurm:
        return _waits(case, WaitsIn.queue, "whether its job is still held is not known here")
    return _job_is_gone(case)


def _cancelled() -> JudgedState:
    words = "cancelled while it was parked for labels; nothing is asked for it any more"
    return JudgedState(state=State.cancelled, reason=words)


def _job_is_gone(case: RunEvidence) -> JudgedState:
    words = "parked, but its job is gone, so nothing releases it"
    reason = f"{describe_pending(case)}; {words}{_describe_failure(case)}"
    return JudgedState(state=State.stopped, reason=reason)


def _waits(case: RunEvidence, where: WaitsIn, words: str) -> JudgedState:
    reason = f"{describe_pending(case)}; {words}{_describe_failure(case)}"
    return JudgedState(state=State.waiting_for_labels, reason=reason, waits_in=where)


def _describe_failure(case: RunEvidence) -> str:
    """What the run's source has failed of since it last answered; "" where it has not."""
    failure = read_source_failure(case.facts.run)
    if failure is None:
        return ""
    ago = format_duration(max(0.0, case.now - failure.time))
    how = "is not asked any more since it failed" if failure.stopped else "failed"
    return f"; its source {how} {ago} ago: {failure.words}"


def describe_pending(case: RunEvidence) -> str:
    """How many labels are pending, since when, and from whom."""
    beat = case.facts.heartbeat
    if beat is None or beat.pending is None:
        return "labels pending"
    words = f"{beat.pending} label{'s' * (beat.pending != 1)} pending"
    if beat.pending_since is not None:
        words += f" for {format_duration(max(0.0, case.now - beat.pending_since))}"
    return f"{words}, from {beat.source}" if beat.source else words
