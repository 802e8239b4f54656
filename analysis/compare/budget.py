"""The labels that a run bought, and what they were worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.load.run import RunData
from analysis.run_findings import Curve, RunFindings, Spending
from rlavr_hpc.telemetry import names

WINDOW = 10
"""Steps over which the value of a label is averaged."""
POINTS = 200
"""Of a curve, at most."""
Points = tuple[tuple[float, float], ...]


def label_spending(run: RunData, *, target: float | None = None) -> Spending:
    """What the run bought, how much of it taught nothing, and the accuracy reached with it.

    Shares are over the run's line (what was rolled back is in `labels` alone), each step weighted
    by the labels it bought.

    Args:
        run: one run, finished or not.
        target: accuracy that `labels_to_target` refers to; None = not asked.
    """
    bought, curve = _bought(run.purchases), accuracy_by_labels(run)
    total = run.labels_by_step
    counted = int(total.iloc[-1]) if len(total) else 0
    facts = run.purchases
    by_step = _column(run, names.LABELS_BOUGHT, missing=0.0)
    judged = by_step + _column(run, names.LABELS_WRONG_VOTES, missing=0.0)
    return Spending(
        labels=int(bought.sum()) if len(bought) else counted,
        labels_void=int(facts["void"].sum()) if len(facts) else 0,
        cost=float(facts["cost"].sum()) if len(facts) else float(counted),
        labels_left_behind=int(bought[~_on_line(facts)].sum()),
        accuracy_start=curve[0][1] if curve else None,
        accuracy_end=curve[-1][1] if curve else None,
        curve=curve,
        area=area_under(curve),
        labels_to_target=None if target is None else labels_to(curve, target),
        vote_right=_share(_column(run, names.LABELS_VOTE_RIGHT), judged),
        none_correct=_share(_column(run, names.LABELS_NONE_CORRECT), by_step),
        oracle_recall=_share(_column(run, names.ORACLE_SELECTION_PRECISION), by_step),
        value=_value(run, judged),
        annotators=run.annotators,
        labels_wrong=_share(_column(run, names.ORACLE_LABEL_WRONG), by_step),
        seconds_waited=float(run.series(names.time_name("wait")).sum()),
    )


def accuracy_by_labels(run: RunData) -> Points:
    """(labels bought so far, held-out accuracy) of every evaluation on the line, in order."""
    accuracy, labels = run.accuracy, run.labels_by_step
    if not len(accuracy):
        return ()
    if not len(labels):
        return tuple((0.0, float(value)) for value in accuracy)
    before = np.searchsorted(labels.index.to_numpy(), accuracy.index.to_numpy(), side="right")
    so_far = np.concatenate(([0.0], labels.to_numpy(dtype="float64")))[before]
    return tuple(zip(so_far.tolist(), accuracy.tolist(), strict=True))


def area_under(curve: Points) -> float | None:
    """Area under accuracy against labels by the trapezoid rule, over the labels spent.

    Returns:
        The mean accuracy over the labels, in [0, 1]; None without labels or with one evaluation.
    """
    if len(curve) < 2 or curve[-1][0] <= curve[0][0]:
        return None
    labels, accuracy = np.array(curve).T
    return float(np.trapezoid(accuracy, labels) / (labels[-1] - labels[0]))


def labels_to(curve: Points, target: float) -> float | None:
    """Labels at which the accuracy reaches the target and stays, linear between evaluations.

    Returns:
        0 where no evaluation is below the target; None where the last one is, or without any.
    """
    below = [place for place, (_, accuracy) in enumerate(curve) if accuracy < target]
    if not curve or (below and below[-1] == len(curve) - 1):
        return None
    if not below:
        return curve[0][0]
    (labels, accuracy), (labels_next, accuracy_next) = curve[below[-1] : below[-1] + 2]
    share = (target - accuracy) / (accuracy_next - accuracy)
    return labels + share * (labels_next - labels)


def default_target(runs: Sequence[RunFindings]) -> float | None:
    """The accuracy whose price in labels is compared: half of the best condition's gain.

    It lies halfway between the median accuracy before training and the best mean final accuracy of
    a condition that needs no oracle, rounded to 0.01. That is high enough that a collapsing run
    misses it, and low enough that good conditions differ in when they reach it.

    Returns:
        None without held-out accuracies, or where no condition has gained anything.
    """
    known = [run for run in runs if run.spending.accuracy_end is not None and not run.uses_oracle]
    starts = [run.spending.accuracy_start for run in known]
    ends: dict[str, list[float]] = {}
    for run in known:
        ends.setdefault(run.condition, []).append(run.spending.accuracy_end or 0.0)
    if not ends:
        return None
    start = float(np.median([value for value in starts if value is not None]))
    best = max(float(np.mean(values)) for values in ends.values())
    return round((start + best) / 2, 2) if best > start else None


def with_target(runs: Sequence[RunFindings], target: float | None) -> list[RunFindings]:
    """The same findings with `labels_to_target` for this target; None = without."""
    return [
        replace(run, spending=replace(run.spending, labels_to_target=reached))
        for run in runs
        for reached in [None if target is None else labels_to(run.spending.curve, target)]
    ]


def _bought(purchases: pd.DataFrame) -> NDArray[np.float64]:
    return purchases["bought"].to_numpy(dtype="float64") if len(purchases) else np.empty(0)


def _on_line(purchases: pd.DataFrame) -> NDArray[np.bool_]:
    return purchases["on_line"].to_numpy(dtype=bool) if len(purchases) else np.empty(0, bool)


def _column(run: RunData, metric: str, missing: float = np.nan) -> NDArray[np.float64]:
    """A metric at every step of the line behind step 0."""
    rows = run.rows
    trained = rows.index.to_numpy() > 0
    if metric not in rows.columns:
        return np.full(int(trained.sum()), missing)
    values = rows[metric].to_numpy(dtype="float64")[trained]
    return np.where(np.isnan(values), missing, values)


def _share(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float | None:
    known = ~np.isnan(values) & (weights > 0)
    if not known.any():
        return None
    return float(np.average(values[known], weights=weights[known]))


def _value(run: RunData, bought: NDArray[np.float64]) -> Curve | None:
    """Reward gap per label: means over windows of ten steps, known by their last step."""
    gap = _column(run, names.LABELS_REWARD_GAP)
    weights = np.where(np.isnan(gap), 0.0, bought)
    if len(gap) < WINDOW or not weights.any():
        return None
    labels = _windows(weights)
    total = _windows(np.nan_to_num(gap) * weights)
    steps = run.rows.index.to_numpy()
    ends = steps[steps > 0][WINDOW - 1 :]
    known = np.flatnonzero(labels > 0)
    kept = known[np.unique(np.linspace(0, len(known) - 1, min(POINTS, len(known))).astype(int))]
    values = total[kept] / labels[kept]
    return Curve(steps=tuple(ends[kept].tolist()), values=tuple(values.tolist()))


def _windows(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums over every ten neighbours."""
    return np.convolve(values, np.ones(WINDOW), mode="valid").astype("float64")
