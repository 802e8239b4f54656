"""Intervals of `benchmarks.policies`: means over few seeds, differences, ratios, predictions.

All take the values of runs as draws from a normal distribution.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from scipy import stats

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure and its two-sided interval; not a number where one run is all there is."""

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Of a symmetric interval."""
        return self.high - self.value

    @property
    def excludes_zero(self) -> bool:
        """Whether the figure is outside the noise; False without an interval."""
        return self.low > 0 or self.high < 0


def mean_of(values: Sequence[float]) -> Estimate:
    """The mean and its interval by Student's t: mean -+ t(n-1) sd / sqrt(n).

    Args:
        values: at least one.
    """
    return _around(mean(values), _half_width(values, factor=1 / len(values)))


def difference_of(first: Sequence[float], second: Sequence[float]) -> Estimate:
    """The mean of first - second and its interval; values at one place belong together.

    Args:
        first: values of one policy, a seed each.
        second: of another, the same seeds.
    """
    return mean_of([a - b for a, b in zip(first, second, strict=True)])


def ratio_of(above: Sequence[float], below: Sequence[float]) -> Estimate | None:
    """Mean of `above` / mean of `below`, and its interval by Fieller's theorem.

    The interval holds every r for which the mean of above - r * below is not apart from zero by
    Student's t (Fieller, "Some problems in interval estimation", J. R. Stat. Soc. B 16, 1954).
    Unlike a delta method it needs no many seeds, and knows when there is no answer.

    Args:
        above: at least one value, a seed each.
        below: the same seeds.

    Returns:
        None where the mean of `below` is not itself apart from zero, or its mean is zero.
    """
    top, bottom, count = mean(above), mean(below), len(above)
    if not bottom:
        return None
    if count == 1:
        return Estimate(value=top / bottom, low=math.nan, high=math.nan)
    factor = stats.t.ppf((1 + CONFIDENCE) / 2, count - 1) ** 2 / count
    square = bottom**2 - factor * stdev(below) ** 2
    if square <= 0:
        return None
    pairs = zip(above, below, strict=True)
    together = sum((a - top) * (b - bottom) for a, b in pairs) / (count - 1)
    middle = top * bottom - factor * together
    rest = top**2 - factor * stdev(above) ** 2
    root = math.sqrt(max(0.0, middle**2 - square * rest))
    return Estimate(value=top / bottom, low=(middle - root) / square, high=(middle + root) / square)


def prediction_of(values: Sequence[float], *, new: int, confidence: float = CONFIDENCE) -> Estimate:
    """Where the mean of `new` further runs is expected: mean -+ t(n-1) sd sqrt(1/n + 1/new).

    Hahn and Meeker, "Statistical Intervals" (1991), chapter 4: the two-sided prediction interval
    for the mean of m future observations of the same normal distribution.

    Args:
        values: of the runs that were made, independent of the new ones.
        new: how many more.
        confidence: chance that their mean is inside.
    """
    factor = 1 / len(values) + 1 / new
    return _around(mean(values), _half_width(values, factor=factor, confidence=confidence))


def _half_width(values: Sequence[float], *, factor: float, confidence: float = CONFIDENCE) -> float:
    if len(values) < 2:
        return math.nan
    quantile = float(stats.t.ppf((1 + confidence) / 2, len(values) - 1))
    return quantile * stdev(values) * math.sqrt(factor)


def _around(value: float, half_width: float) -> Estimate:
    return Estimate(value=value, low=value - half_width, high=value + half_width)
