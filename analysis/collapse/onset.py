"""The step from which accuracy is lost, by change points in the best measure on record.

Change points date an onset: the last levels lie below `FLOOR` times the highest level before them.
Whether the run has collapsed is for the definition to say (`telemetry.collapse.definition`), which
knows how noisy the measure is; where that is not on record, the change points decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis.collapse.change_points import Level, Values, levels, thinned
from analysis.load.run import HELD_OUT, RunData
from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.collapse.definition import (
    EVALUATIONS,
    FEWEST,
    WINDOW,
    WINDOWS,
    Collapse,
    find_collapse,
)

FLOOR = 0.78
"""Share of the highest level that is still healthy: the definition's 0.8 less half a standard
error of a 10-step mean, so that a run at the limit is not called collapsed."""
PENALTIES = (0.75, 1.0, 1.5)
"""Readings from fine to coarse. What most of them see is so, and a recovery seen by any of them
moves the onset behind it: no single penalty sees both short recoveries and shallow falls."""
MOST_POINTS = 500
"""Longer series are thinned to as many means: the onset of a run of 1,000 steps is good to 2."""
FEW = 20
"""With fewer points noise and change look alike; each point then is a level of its own."""
FEWEST_EVALUATIONS = 3
COVERED = 0.5
"""Share of the steps that must have the truth for it to decide."""
RISEN = 1.1
"""Times its first level that a run which has learned reaches."""
BLIND = frozenset({"random", "full"})
"""Policies that buy without looking at the votes: only their labels are a fair sample of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A series that says how accurate the run is."""

    name: str
    title: str
    """As it stands in a sentence."""
    series: pd.Series
    """By step, without gaps."""
    shortest: int
    """Points a level has at least."""
    variances: pd.Series | None = None
    """Of the values, by step; None = not on record."""
    windows: Sequence[int] = WINDOWS
    """Of the definition."""
    needs_variances: bool = False
    """Neighbouring values differ by what happened between them, too."""

    @property
    def is_defined(self) -> bool:
        """Whether the definition can be applied."""
        return self.variances is not None or not self.needs_variances

    def collapse(self) -> Collapse | None:
        """By the definition, its onset as a step of the run."""
        variances = None if self.variances is None else self.variances.tolist()
        found = find_collapse(self.series.tolist(), variances, windows=self.windows)
        if found is None:
            return None
        return replace(found, onset=int(self.series.index[found.onset - 1]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What the measure did."""

    onset: int | None = None
    """First step of the final low stretch; None = not collapsed."""
    healthy: int | None = None
    """Last point on record before the onset: how coarse the onset is."""
    best: float = 0.0
    """Highest level before the onset, or of all."""
    last: float = 0.0
    """Mean since the onset, or the last level."""
    dip: tuple[int, int] | None = None
    """First low step and first healthy one after it, of the last stretch that was recovered from;
    for runs that have not collapsed."""
    learned: bool = True
    """It was once clearly better than at the beginning."""


ALONE = 0.5
"""Share of the best below which a single low value at the end is enough: chance moves a held-out
accuracy by less, and the next one may be healthy again."""


def measure_of(run: RunData) -> Measure | None:
    """The best measure on record: the truth, held-out accuracy, what fairly drawn labels say.

    Returns:
        None without any, or with too few points to tell a collapse.
    """
    truth = run.series(names.ORACLE_TRUE_REWARD)
    if len(truth) >= max(FEWEST, COVERED * np.sum(run.rows.index > 0)):
        return Measure(
            name=names.ORACLE_TRUE_REWARD,
            title="true reward",
            series=truth,
            shortest=WINDOW,
            variances=_where(run.series(names.ORACLE_TRUE_REWARD_VARIANCE), truth),
        )
    if len(run.accuracy) >= FEWEST_EVALUATIONS:
        name = next(column for column in run.rows.columns if column.startswith(HELD_OUT))
        errors = run.accuracy_error
        return Measure(
            name=name,
            title="held-out accuracy",
            series=run.accuracy,
            shortest=2,
            variances=_where(errors**2, run.accuracy),
            windows=EVALUATIONS,
            needs_variances=True,
        )
    right = run.series(names.LABELS_VOTE_RIGHT)
    if run.policy in BLIND and len(right) >= 2 * WINDOW:
        return Measure(
            name=names.LABELS_VOTE_RIGHT,
            title="share of right votes among bought prompts",
            series=right,
            shortest=WINDOW,
            variances=_binomial(right, run.series(names.LABELS_BOUGHT)),
        )
    return None


def _where(variances: pd.Series, values: pd.Series) -> pd.Series | None:
    """Of the values; None where one of them lacks it."""
    found = variances.reindex(values.index)
    return None if found.isna().any() else found


def _binomial(shares: pd.Series, counts: pd.Series) -> pd.Series | None:
    """Variances of shares of so many, at their common mean."""
    mean = float(shares.mean())
    return _where(mean * (1.0 - mean) / counts[counts > 0], shares)


def course_of(measure: Measure) -> Course:
    """Whether and since when the measure is low for good."""
    steps, values, size = thinned(
        measure.series.index.to_numpy(dtype="float64"),
        measure.series.to_numpy(dtype="float64"),
        most=MOST_POINTS,
    )
    shortest = max(2, -(-measure.shortest // size))
    readings = _readings(values, shortest)
    found = [(start, reading) for reading in readings if (start := low_since(reading)) is not None]
    if 2 * len(found) <= len(readings):
        return _not_collapsed(steps, readings[len(readings) // 2])
    onset, reading = max(found, key=lambda pair: pair[0])
    if onset == len(values) - 1 and values[onset] >= ALONE * values.max():
        return _not_collapsed(steps, reading)
    return Course(
        onset=int(steps[onset]),
        healthy=int(steps[onset - 1]),
        best=max(level.mean for level in reading if level.stop <= onset),
        last=float(values[onset:].mean()),
    )


def _readings(values: Values, shortest: int) -> list[list[Level]]:
    if len(values) < FEW and shortest <= 2:
        return [[Level(start=i, stop=i + 1, mean=float(v)) for i, v in enumerate(values)]]
    return [levels(values, penalty=penalty, shortest=shortest) for penalty in PENALTIES]


def low_since(reading: Sequence[Level]) -> int | None:
    """Index of the first point of the final low stretch; None when the last level is healthy."""
    low = _low(reading)
    if not low[-1]:
        return None
    healthy = np.flatnonzero(~np.asarray(low))
    return reading[int(healthy[-1]) + 1].start


def _low(reading: Sequence[Level]) -> list[bool]:
    best = np.maximum.accumulate([level.mean for level in reading])
    return [top > 0 and level.mean < FLOOR * top for level, top in zip(reading, best, strict=True)]


def _not_collapsed(steps: Values, reading: Sequence[Level]) -> Course:
    best = max(level.mean for level in reading)
    return Course(
        best=best,
        last=reading[-1].mean,
        dip=_dip(steps, reading),
        learned=best > max(RISEN * reading[0].mean, 0.0),
    )


def _dip(steps: Values, reading: Sequence[Level]) -> tuple[int, int] | None:
    low = _low(reading)
    ends = [i for i in range(1, len(reading)) if low[i - 1] and not low[i]]
    if not ends:
        return None
    begin = ends[-1] - 1
    while low[begin - 1]:
        begin -= 1
    return int(steps[reading[begin].start]), int(steps[reading[ends[-1]].start])
