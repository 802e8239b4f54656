"""How each signal of a run changed, and when it alone would have given an alarm.

Two views of one signal. In retrospect: its change points, from the whole series. At the time: a
two-sided CUSUM that knows only the steps so far; its constants were fixed on seeds 1 and 2 of the
testbed's policies. Signals of the votes alone say that answers agree more, which healthy runs do as
well: their alarm means "look here", not "collapsing".
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

import numpy as np
import pandas as pd

from analysis.collapse.change_points import Values, levels, noise, noise_of, thinned
from analysis.load.run import RunData
from analysis.run_findings import SignalChange
from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.collapse.definition import WINDOW

GAP = f"{names.COLLAPSE_PSEUDO_REWARD} - {names.ORACLE_TRUE_REWARD}"
"""Name of the pseudo minus true reward, which no row holds."""
BASELINE = 5
"""Steps whose mean later ones are compared with: the testbed's first collapses begin at step 12."""
LEARNED_NOISE = 20
"""Steps from which the noise is estimated; with fewer, those there are."""
SLACK = 0.5
"""Standard deviations that are let pass: half of the smallest shift looked for, as is usual."""
ALARM = 8.0
"""Sum of standard deviations that gives an alarm: a shift of 1.5 for eight steps."""
LARGEST = 4.0
"""A single step counts for no more: two outliers are no alarm."""
SURE = 3.0
"""Penalty of a change point in a signal, and standard errors it must exceed: only sure changes."""
ABOUT_AS_LARGE = 0.5
"""Share of the largest change that another one has to have to be reported in its place."""
MOST_POINTS = 250
"""Longer series are thinned to as many means before change points are looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedSignal:
    """A series that may show a collapse."""

    name: str
    """Of the metric, or `GAP`."""
    title: str
    """As it stands in a sentence."""
    direction: int
    """+1 when it rises, -1 when it falls, 0 either way."""
    min_change: float
    """Change that matters at all; also the least noise that is assumed."""
    label_free: bool = True

    def series(self, run: RunData) -> pd.Series:
        """Its values by step, without gaps."""
        if self.name == GAP:
            pseudo = run.series(names.COLLAPSE_PSEUDO_REWARD)
            if run.config.get("reward.name", "vote") != "vote":
                return pseudo.iloc[:0]  # on another scale than the truth
            return (pseudo - run.series(names.ORACLE_TRUE_REWARD)).dropna()
        return run.series(self.name)


SIGNALS = (
    WatchedSignal(
        name=GAP, title="pseudo minus true reward", direction=1, min_change=0.03, label_free=False
    ),
    WatchedSignal(
        name=names.ORACLE_VOTE_ACCURACY,
        title="vote accuracy",
        direction=-1,
        min_change=0.03,
        label_free=False,
    ),
    WatchedSignal(
        name=names.LABELS_VOTE_RIGHT,
        title="votes right on bought prompts",
        direction=-1,
        min_change=0.02,
    ),
    WatchedSignal(
        name=names.LABELS_REWARD_GAP,
        title="reward gap on bought prompts",
        direction=1,
        min_change=0.02,
    ),
    WatchedSignal(
        name=names.COLLAPSE_MAJORITY_RATIO, title="majority ratio", direction=1, min_change=0.01
    ),
    WatchedSignal(
        name=names.COLLAPSE_DISTINCT_ANSWERS, title="distinct answers", direction=-1, min_change=0.1
    ),
    WatchedSignal(
        name=names.COLLAPSE_ANSWER_ENTROPY, title="answer entropy", direction=-1, min_change=0.03
    ),
    WatchedSignal(
        name=names.COLLAPSE_UNANIMOUS, title="unanimous prompts", direction=1, min_change=0.01
    ),
    WatchedSignal(
        name=names.COLLAPSE_UNPARSABLE, title="unparsable responses", direction=1, min_change=0.01
    ),
    WatchedSignal(
        name=names.COLLAPSE_NOTHING_PARSABLE,
        title="prompts without any answer",
        direction=1,
        min_change=0.01,
    ),
    WatchedSignal(
        name=names.COLLAPSE_LENGTH_TOKENS, title="response length", direction=0, min_change=0.25
    ),
    WatchedSignal(
        name=names.COLLAPSE_TRUNCATED, title="truncated responses", direction=1, min_change=0.01
    ),
    WatchedSignal(
        name=names.COLLAPSE_SAMPLED_ENTROPY, title="sampled entropy", direction=-1, min_change=0.02
    ),
    WatchedSignal(name=names.TRAIN_ENTROPY, title="policy entropy", direction=-1, min_change=0.02),
)
BY_NAME = {signal.name: signal for signal in SIGNALS}


def change_of(signal: WatchedSignal, run: RunData, *, onset: int | None) -> SignalChange | None:
    """What a signal did.

    Args:
        signal: which.
        run: the run.
        onset: of its collapse: of several changes the nearest one is reported; None = the largest.

    Returns:
        None where the run does not report it.
    """
    series = signal.series(run)
    if not len(series):
        return None
    steps, values = _arrays(series)
    step = _change(signal, steps, values, onset=onset)
    before = float(values[steps < step].mean()) if step is not None else float(values.mean())
    after = float(values[steps >= step].mean()) if step is not None else None
    return SignalChange(
        signal=signal.name,
        label_free=signal.label_free,
        step=step,
        detected=detection_step(signal, steps, values) if signal.label_free else None,
        before=before,
        after=after,
        text=_text(signal, step, before, after),
    )


def detection_step(signal: WatchedSignal, steps: Values, values: Values) -> int | None:
    """First step at which a CUSUM of the signal, blind to the future, passes `ALARM`.

    Each value counts by its distance from the mean of the first `BASELINE` steps, in standard
    deviations of the noise known by then (Page 1954).

    Args:
        signal: gives the side that counts and the least noise.
        steps: (N,) of the values.
        values: (N,) without gaps.
    """
    seen = values.tolist()
    differences = np.abs(np.diff(values[:LEARNED_NOISE])).tolist()
    begin = sum(seen[:BASELINE]) / BASELINE
    widened = sqrt(1.0 + 1.0 / BASELINE)  # the mean at the beginning is uncertain too
    rise = fall = 0.0
    for i in range(BASELINE, len(seen)):
        if i <= LEARNED_NOISE:
            scale = widened * max(signal.min_change, noise_of(differences[: i - 1]))
        shift = min(LARGEST, max(-LARGEST, (seen[i] - begin) / scale))
        rise, fall = max(0.0, rise + shift - SLACK), max(0.0, fall - shift - SLACK)
        if (signal.direction >= 0 and rise > ALARM) or (signal.direction <= 0 and fall > ALARM):
            return int(steps[i])
    return None


def strength(change: SignalChange) -> float:
    """How much of itself a signal changed, in [0, 1]: what signals are ordered by."""
    if change.step is None or change.before is None or change.after is None:
        return 0.0
    largest = max(abs(change.before), abs(change.after))
    return min(1.0, abs(change.after - change.before) / largest) if largest else 0.0


def _arrays(series: pd.Series) -> tuple[Values, Values]:
    return series.index.to_numpy(dtype="float64"), series.to_numpy(dtype="float64")


def _change(
    signal: WatchedSignal, steps: Values, values: Values, *, onset: int | None
) -> int | None:
    """The largest change; of several about as large the one nearest to the onset, if any.

    None without a sure one.
    """
    steps, values, size = thinned(steps, values, most=MOST_POINTS)
    found = levels(values, penalty=SURE, shortest=max(2, WINDOW // size // 2))
    sure = max(signal.min_change, noise(values) * SURE / sqrt(WINDOW))
    changes = [
        (int(steps[now.start]), abs(now.mean - then.mean))
        for then, now in pairwise(found)
        if abs(now.mean - then.mean) > sure
    ]
    if not changes:
        return None
    largest, size_of_it = max(changes, key=lambda change: change[1])
    if onset is None:
        return largest
    large = [step for step, by in changes if by >= ABOUT_AS_LARGE * size_of_it]
    return min(large, key=lambda step: abs(step - onset))


def _text(signal: WatchedSignal, step: int | None, before: float, after: float | None) -> str:
    if step is None or after is None:
        return f"{signal.title} stayed at {before:.3g}"
    return f"{signal.title} {before:.3g} -> {after:.3g} from step {step}"
