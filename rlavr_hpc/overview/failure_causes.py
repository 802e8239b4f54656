"""Why a run is where it is: the last stop, the first rank that failed, its error and its log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rlavr_hpc.errors import ExitCode, RlavrError, UserError
from rlavr_hpc.overview.error_signatures import (
    ErrorSignature,
    first_rank,
    match_signatures,
    signal_in_words,
)
from rlavr_hpc.overview.job_logs import JobLog, last_lines, logs_of
from rlavr_hpc.runs.evidence import RunFacts, read_facts
from rlavr_hpc.runs.failures import Failure
from rlavr_hpc.runs.state_types import State
from rlavr_hpc.runs.states import RunState
from rlavr_hpc.runs.stops import CANCELLATION, Cause, Stop

LINES = 20
"""Of a log, where nothing else tells what happened."""
SEARCHED = 60
"""Last lines of a log that are searched for clues."""
SAME_END_SECONDS = 5.0
"""A heartbeat may come this long after another rank has failed."""
TROUBLED = (State.failed, State.stalled, State.requeued)
BAD_JOBS = {
    "OUT_OF_MEMORY": "oom-kill",
    "NODE_FAIL": "NODE_FAIL",
    "BOOT_FAIL": "NODE_FAIL",
    "TIMEOUT": "DUE TO TIME LIMIT",
}
"""Slurm's states of a job that has ended, as marks that `clues` knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureCause:
    """An explanation."""

    run: RunState
    cause: Cause | None
    """Of the last stop; None where none is on record, or it is of an older start."""
    exit_code: int | None
    crashes: int
    """In a row without progress."""
    failure: Failure | None
    """Of the rank that failed first."""
    killed: tuple[int, str] | None
    """Where no rank left a word: the rank that srun saw end first, and how."""
    clues: Sequence[ErrorSignature]
    log: JobLog | None
    last_lines: Sequence[str]
    """Of the log; () where `failure` tells enough."""

    @property
    def signal(self) -> str:
        """That ended it, in words; "" when none did."""
        return signal_in_words(self.exit_code or 0)


def explain(run: RunState, *, job_state: str = "") -> FailureCause:
    """Why this run is where it is.

    Args:
        run: as `states` tells.
        job_state: what Slurm calls the state of its job, where it still knows it.
    """
    facts = read_facts(run.run)
    stop = _stop(facts)
    troubled = run.state in TROUBLED
    failure = _failure(facts, stop) if troubled else None
    code = stop.exit_code if stop else failure.exit_code if failure else _recorded_exit_code(facts)
    batch = _log(run.run, None)
    srun = last_lines(batch.path, SEARCHED) if batch and troubled else []
    killed = first_rank(srun) if troubled and failure is None else None
    rank = failure.rank if failure else killed[0] if killed else 0
    log = _log(run.run, rank) or batch
    lines = last_lines(log.path, SEARCHED) if log and troubled else []
    texts = [failure.error, failure.traceback] if failure else [*lines, *srun]
    marks = [BAD_JOBS.get(job_state, "")] if troubled else []
    shown = () if failure and failure.traceback else (lines or srun)[-LINES:]
    return FailureCause(
        run=run,
        cause=stop.cause if stop else None,
        exit_code=code,
        failure=failure,
        killed=killed,
        crashes=stop.failures if stop else 0,
        log=log,
        last_lines=shown,
        clues=match_signatures([*texts, *marks, *_memory_marks(srun)], exit_code=code or 0)
        if troubled and code != ExitCode.MISTAKE
        else (),
    )


def _memory_marks(lines: Sequence[str]) -> list[str]:
    """The batch script's log says that memory ran out, whatever the rank's error was."""
    return [
        line
        for line in lines
        if any(signature.name == "memory" for signature in match_signatures([line]))
    ]


def _stop(facts: RunFacts) -> Stop | None:
    """The last stop, unless the run has begun again since."""
    try:
        stop = facts.last_stop()
    except RlavrError:
        return None
    beat = facts.heartbeat
    if stop is None or beat is None or stop.restart == CANCELLATION:
        return stop
    same = beat.job == stop.job and (beat.restart or 0) <= stop.restart
    return stop if same or beat.time <= stop.time else None


def _failure(facts: RunFacts, stop: Stop | None) -> Failure | None:
    """Of the start that ended last: older failures have been got over."""
    failure = facts.last_failure()
    if failure is None:
        return None
    if stop is not None and stop.restart != CANCELLATION:
        return failure if failure.start == f"{stop.job}.{stop.restart}" else None
    begun = facts.heartbeat
    if begun is not None and begun.alive and failure.time < begun.time - SAME_END_SECONDS:
        return None
    return failure


def _recorded_exit_code(facts: RunFacts) -> int | None:
    return facts.heartbeat.exit_code if facts.heartbeat else None


def _log(run: Path, rank: int | None) -> JobLog | None:
    try:
        return next((log for log in logs_of(run, rank=rank) if log.exists), None)
    except (UserError, OSError):
        return None
