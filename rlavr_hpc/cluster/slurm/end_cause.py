"""Why a job ended, by its exit code and what Slurm says of it; and which ends are failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from signal import SIGTERM, SIGUSR2

from rlavr_hpc.cluster.topology import SlurmStart
from rlavr_hpc.errors import ExitCode
from rlavr_hpc.runs.stops import Cause, Stop

STOPPING = (Cause.time_limit, Cause.signalled)
"""Causes that are no failure where they left a newer checkpoint behind. A signal may be srun's own,
which ends the other ranks when one is gone and whose exit code hides that one's."""
FINAL = {
    ExitCode.MISTAKE: Cause.mistake,
    ExitCode.EARLY_WARNING: Cause.early_warning,
    ExitCode.FENCED: Cause.fenced,
}
STOPPED = (ExitCode.STOPPED, ExitCode.SECOND_SIGNAL, 128 + SIGTERM, 128 + SIGUSR2)
"""Stopped with a checkpoint, at the second signal, or before there was a handler."""
NEAR_LIMIT_SECONDS = 90
"""Slurm sends the signal up to a minute early, and looks every half minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedJob:
    """A start of a job whose ranks are gone."""

    exit_code: int
    """The one that explains it: of the first rank that failed with words, else srun's."""
    finished: bool
    start: SlurmStart
    job: Mapping[str, str]
    """What Slurm says of the job now; empty when it does not answer."""
    signal_seconds: int
    now: float
    waited: bool = False
    """Whether it waited for labels when it ended."""


def classify(ended: EndedJob) -> Cause:
    """Why it ended.

    What Slurm says counts more than the exit code: a run that gets the signal while it loads its
    models dies of it.
    """
    job, code = ended.job, ended.exit_code
    if code == ExitCode.FENCED or int(job.get("Restarts", "0")) > ended.start.restart:
        return Cause.fenced if code == ExitCode.FENCED else Cause.requeued
    if code == 0 and ended.finished:
        return Cause.done
    if code in FINAL:
        return FINAL[ExitCode(code)]
    slurms = _cause_by_slurm(job)
    if code == ExitCode.WAITING_FOR_LABELS and slurms is not Cause.cancelled:
        return Cause.waiting_for_labels
    if slurms is not None:
        return slurms
    if code in STOPPED:
        return Cause.time_limit if _near_limit(ended) else Cause.signalled
    return Cause.crashed


def _cause_by_slurm(job: Mapping[str, str]) -> Cause | None:
    """Why Slurm ends this start; None where it does not say that it does."""
    if job.get("Reason") == "TimeLimit" or job.get("JobState") == "TIMEOUT":
        return Cause.time_limit
    if job.get("JobState") in ("COMPLETING", "CANCELLED"):
        return Cause.cancelled
    return Cause.preempted if parse_time(job.get("PreemptTime")) is not None else None


def _near_limit(ended: EndedJob) -> bool:
    end = parse_time(ended.job.get("EndTime"))
    return end is not None and end - ended.now < ended.signal_seconds + NEAR_LIMIT_SECONDS


def parse_time(text: str | None) -> float | None:
    """Unix time of Slurm's local time; None for None, N/A and Unknown."""
    try:
        return datetime.fromisoformat(text or "").astimezone().timestamp()
    except ValueError:
        return None


def failures_in_a_row(
    stops: Sequence[Stop], cause: Cause, *, job: str, checkpoint: int, waited: bool = False
) -> int:
    """How often this job has now crashed, or run out of time, without a newer checkpoint.

    Args:
        stops: the run's earlier ones; a preemption between two failures does not part them.
        cause: of the present stop.
        job: A_T; a run that is submitted again starts from zero.
        checkpoint: the newest one's step now.
        waited: whether it waited for labels: nothing newer could be written then.
    """
    last = stops[-1] if stops else None
    progress = checkpoint != (last.checkpoint if last is not None else -1)
    before = last.failures if last is not None and last.job == job and not progress else 0
    stopped = cause in STOPPING and not progress and not waited
    return before + (cause is Cause.crashed or stopped)
