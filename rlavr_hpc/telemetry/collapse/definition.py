"""Has a run collapsed? The definition every detector is judged by, aware of the rewards' noise.

A run has collapsed when its last steps earn less than `FLOOR` times what earlier ones earned, by
more than chance explains: windows of several lengths at its end are compared with all disjoint
windows before them, and with the untrained model, at one error rate for all comparisons together.
With few prompts a step a fall must be larger, or last longer, to be told from noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

WINDOW = 10
"""Steps of the shortest window."""
WINDOWS = (WINDOW, 20, 40, 80)
"""Steps of the windows that are compared."""
FEWEST = 2 * WINDOW
"""Steps below which there is no verdict."""
EVALUATIONS = (1, 2, 4)
"""The same for accuracies on a held-out set, which are few."""
FLOOR = 0.8
"""Share of an earlier reward below which the last one is a collapse."""
SURELY_BELOW = 0.9
"""Share of an earlier reward that the last one must miss by more than chance explains."""
ERROR_RATE = 0.01
"""Of all comparisons in one run together (Bonferroni)."""
LOST = 0.9
"""Share of an earlier reward below which accuracy was lost, collapsed or not."""
UNTRAINED = (1, 3)
"""First steps that count as windows of their own: a collapse may begin at once."""
SMOOTHED = 31
"""Steps over which the variance is averaged."""

SMALLEST = 1e-12
"""Deviation that counts as none."""

Values = NDArray[np.float64]
Windows = NDArray[np.int64]
"""(N, 2) begin and end of each, as places."""
Places = NDArray[np.int64] | int


@dataclass(frozen=True, slots=True, kw_only=True)
class Collapse:
    """A collapse, and what it is measured against."""

    onset: int
    """First step, counted from 1, of the final low stretch."""
    best: float
    """Mean reward of the earlier window that shows it most clearly."""
    last: float
    """Mean reward since the onset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Comparison:
    """Of windows, by cumulated values."""

    sums: Values
    """(T + 1,) of the rewards."""
    spreads: Values
    """(T + 1,) of their variances."""
    shortest: int
    """Steps of the shortest window."""
    floor: float
    share: float
    z: float

    def clearest(self, early: Windows, *, start: int) -> tuple[float, int, int] | None:
        """How clearly the window from `start` to the end is low, and the window which shows it."""
        begin, end = early[early[:, 1] <= start].T
        before = self._mean(begin, end)
        now = self._mean(start, -1)
        variance = self.share**2 * self._variance(begin, end) + self._variance(start, -1)
        deviation = np.sqrt(variance)
        missed = self.share * before - now
        at_end = np.maximum(now, self._mean(len(self.sums) - 1 - self.shortest, -1))
        low = (at_end < self.floor * before) & (missed > self.z * deviation)
        if not low.any():
            return None
        clearness = np.where(low, missed / np.maximum(deviation, SMALLEST), -np.inf)
        place = int(clearness.argmax())
        return float(clearness[place]), int(begin[place]), int(end[place])

    def _mean(self, begin: Places, end: Places) -> Values:
        found: Values = (self.sums[end] - self.sums[begin]) / self._width(begin, end)
        return found

    def _variance(self, begin: Places, end: Places) -> Values:
        found: Values = (self.spreads[end] - self.spreads[begin]) / self._width(begin, end) ** 2
        return found

    def _width(self, begin: Places, end: Places) -> Places:
        return (len(self.sums) - 1 if isinstance(end, int) else end) - begin


def find_collapse(
    rewards: Sequence[float],
    variances: Sequence[float] | None = None,
    *,
    windows: Sequence[int] = WINDOWS,
    floor: float = FLOOR,
    surely_below: float = SURELY_BELOW,
) -> Collapse | None:
    """Whether and since when the reward is low for good.

    A final window F and an earlier, disjoint one E show it where `F < floor E` and
    `s E - F > z sqrt(s^2 v_E + v_F)`, with s = `surely_below`, v the variances of the windows'
    means and z the normal quantile at `ERROR_RATE` over the number of comparisons. The last of the
    shortest windows must be low as well, else the run has recovered. The onset is the best split,
    by least squares, between E and the end.

    Args:
        rewards: (T,) mean reward of steps 1, 2, ....
        variances: (T,) of these means; None = half the squared differences of neighbours, which
            also holds what a step is better than the one before.
        windows: lengths of the windows.
        floor: share of an earlier reward below which the last one is low.
        surely_below: share that it must miss by more than chance explains.

    Returns:
        None = not collapsed, or fewer steps than two of the shortest windows.
    """
    steps = len(rewards)
    if steps < 2 * min(windows):
        return None
    values = np.asarray(rewards, dtype=np.float64)
    noise = smoothed(_from_differences(values) if variances is None else np.asarray(variances))
    sums, spreads = _cumulated(values), _cumulated(noise)
    widths = [width for width in windows if 2 * width <= steps]
    early = _windows_before(steps, widths)
    tests = len(widths) * (sum(steps // width for width in widths) + len(UNTRAINED))
    z = NormalDist().inv_cdf(1.0 - ERROR_RATE / tests)
    comparison = _Comparison(
        sums=sums, spreads=spreads, shortest=widths[0], floor=floor, share=surely_below, z=z
    )
    shown = [comparison.clearest(early, start=steps - width) for width in widths]
    clearest = max((found for found in shown if found is not None), default=None)
    if clearest is None:
        return None
    _, begin, end = clearest
    onset = _best_split(sums, begin=begin, first=end, squares=_cumulated(values**2))
    return Collapse(
        onset=onset + 1,
        best=float(sums[end] - sums[begin]) / (end - begin),
        last=float(sums[-1] - sums[onset]) / (steps - onset),
    )


def smoothed(values: Values) -> Values:
    """(T,) centred means over `SMOOTHED` values, fewer at both ends."""
    sums, count = _cumulated(values), len(values)
    places = np.arange(count)
    low = np.maximum(places - SMOOTHED // 2, 0)
    high = np.minimum(places + SMOOTHED // 2 + 1, count)
    means: Values = (sums[high] - sums[low]) / (high - low)
    return means


def _from_differences(values: Values) -> Values:
    squares = np.diff(values) ** 2 / 2.0
    return np.concatenate([squares[:1], squares])


def _cumulated(values: Values) -> Values:
    """(T + 1,) sums of the first 0, 1, ... values."""
    return np.concatenate([[0.0], np.cumsum(values)])


def _windows_before(steps: int, widths: Sequence[int]) -> Windows:
    """Those that an end may be compared with: tiles, and the untrained model."""
    tiles = [(i * w, (i + 1) * w) for w in widths for i in range(steps // w)]
    return np.asarray([*((0, last) for last in UNTRAINED), *tiles])


def _best_split(sums: Values, *, begin: int, first: int, squares: Values) -> int:
    """Place from which on a second level fits best, not before `first`."""
    stop = len(sums) - 1
    places: NDArray[np.int64] = np.arange(first, stop)

    def error(low: Places, high: Places) -> Values:
        found: Values = squares[high] - squares[low] - (sums[high] - sums[low]) ** 2 / (high - low)
        return found

    errors = error(begin, places) + error(places, stop)
    return int(places[int(errors.argmin())])
