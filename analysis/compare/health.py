"""What a run cost in time and devices, and what was lost on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import numpy as np
import pandas as pd

from analysis.load.run import JobStop, RunData
from analysis.run_findings import Health
from rlavr_hpc.runs.attempts import Attempt, standing
from rlavr_hpc.telemetry import names

TAKEN_AWAY = frozenset({"preempted", "time_limit", "requeued"})
"""Causes of a stop that are no fault of the run."""
ENDED = "done"
OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStart:
    """One process of the run, from its token to its last row."""

    begin: float
    """Seconds since 1970."""
    end: float
    follows_rollback: bool
    """Begun because of a roll-back."""


def run_health(run: RunData) -> Health:
    """Starts, losses, speed and cost of a run.

    Times are between tokens and rows, so that what a start did behind its last row (a step begun
    in vain, a checkpoint) counts as waiting. A start that another one followed, with no stop on
    record between the two, counts as preempted.
    """
    starts = _starts(run)
    redone, lost = _redone(run.written)
    running = sum((start.end - start.begin for start in starts), 0.0)
    device, count = ("GPU", run.accelerators) if run.accelerators else ("CPU rank", run.ranks)
    return Health(
        starts=len(starts),
        preemptions=_preemptions(starts, run.stops),
        crashes=sum(stop.cause == "crashed" for stop in run.stops),
        rollbacks=sum(attempt.reason == "rollback" for attempt in standing(run.attempts)),
        steps_redone=redone,
        seconds_lost=lost,
        steps_left_behind=_left_behind(run),
        seconds_running=running,
        seconds_waiting=_waiting(starts, run.stops),
        seconds_per_step=_median(run, names.TIME_STEP),
        tokens_per_second=_median(run, names.PERF_TOKENS_PER_SECOND),
        phases=_phases(run),
        device_hours=running * count / 3600,
        device=device,
        memory_gib=_largest(run, names.SYS_MEMORY_GIB),
    )


def _starts(run: RunData) -> list[JobStart]:
    """The run's processes; of rows alone where its tokens cannot be used."""
    spans = _spans(run.written)
    if not run.attempts:
        return [JobStart(begin=a, end=b, follows_rollback=False) for a, b in spans.values()]
    starts: list[JobStart] = []
    before: Attempt | None = None
    rolled_back = False
    for attempt in standing(run.attempts):
        if attempt.reason == "rollback":
            rolled_back = True
            continue
        first, last = spans.get(attempt.number, (None, None))
        begin = _moment(attempt) or first
        if begin is not None:
            end = max(begin, last or begin)
            if before and rolled_back and _same_process(before, attempt):
                starts[-1] = JobStart(
                    begin=starts[-1].begin, end=end, follows_rollback=starts[-1].follows_rollback
                )
            else:
                starts.append(JobStart(begin=begin, end=end, follows_rollback=rolled_back))
        before, rolled_back = attempt, False
    return starts


def _spans(written: pd.DataFrame) -> dict[int, tuple[float, float]]:
    """Times of the first and the last row, by attempt."""
    if not len(written):
        return {}
    times = written.groupby("attempt")["time"].agg(["min", "max"]).dropna()
    return {int(number): (float(a), float(b)) for number, a, b in times.itertuples()}


def _moment(attempt: Attempt) -> float | None:
    try:
        return datetime.fromisoformat(attempt.started).timestamp()
    except (TypeError, ValueError):
        return None


def _same_process(one: Attempt, other: Attempt) -> bool:
    return (one.host, one.pid) == (other.host, other.pid)


def _preemptions(starts: Sequence[JobStart], stops: Sequence[JobStop]) -> int:
    recorded = sum(stop.cause in TAKEN_AWAY for stop in stops)
    unrecorded = sum(
        not after.follows_rollback and not _between(before, after, stops)
        for before, after in pairwise(starts)
    )
    return recorded + unrecorded


def _waiting(starts: Sequence[JobStart], stops: Sequence[JobStop]) -> float:
    """Seconds between starts; those between an end and a later extension are not waited."""
    waits = (
        max(0.0, after.begin - before.end)
        for before, after in pairwise(starts)
        if not any(stop.cause == ENDED for stop in _between(before, after, stops))
    )
    return sum(waits, 0.0)


def _between(before: JobStart, after: JobStart, stops: Sequence[JobStop]) -> list[JobStop]:
    """The stops of the first start's job, on record while it ran or before the next one began."""
    return [stop for stop in stops if before.begin <= stop.time <= after.begin]


def _redone(written: pd.DataFrame) -> tuple[int, float]:
    """Steps whose row a later attempt wrote again, and the seconds that they had taken."""
    if written["attempt"].nunique() < 2:
        return 0, 0.0
    once = written[written["step"] > 0].drop_duplicates(["attempt", "branch", "step"], keep="last")
    once = once.sort_values("attempt", kind="stable")
    lost = once[once.duplicated(["branch", "step"], keep="last")]
    return len(lost), float(lost[names.TIME_STEP].sum())


def _left_behind(run: RunData) -> int:
    """Steps on branches that were rolled back."""
    if not any(attempt.reason == "rollback" for attempt in standing(run.attempts)):
        return 0
    done = run.written.loc[run.written["step"] > 0, ["branch", "step"]].astype("int64")
    line = pd.MultiIndex.from_arrays([run.rows["branch"], run.rows.index])
    reached = pd.MultiIndex.from_frame(done.drop_duplicates())
    return len(reached.difference(line))


def _median(run: RunData, metric: str) -> float | None:
    values = run.series(metric)
    return float(np.median(values.to_numpy())) if len(values) else None


def _largest(run: RunData, metric: str) -> float | None:
    largest = run.rows[metric].max() if metric in run.rows.columns else np.nan
    return None if np.isnan(largest) else float(largest)


def _phases(run: RunData) -> dict[str, float]:
    """Share of the steps' time by phase, in the order of a step, without phases that took none."""
    totals = {
        phase: float(np.nansum(run.rows[name].to_numpy()))
        for phase in (*names.TIME_PHASES, OTHER)
        for name in [names.time_name(phase)]
        if name in run.rows.columns
    }
    whole = sum(totals.values())
    return {phase: total / whole for phase, total in totals.items() if total > 0}
