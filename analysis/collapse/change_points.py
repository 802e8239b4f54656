"""Where a series changes its level: the only module that knows the change-point library.

Pelt-like exact search with a linear kernel, which is the squared error around piecewise constant
levels (`ruptures.KernelCPD`, in C): about a millisecond for 1,000 points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import median

import numpy as np
import ruptures
from numpy.typing import NDArray

NORMAL_MAD = 0.6745
"""Median absolute deviation of a standard normal variable."""
LEAST_NOISE = 1e-3
"""Standard deviation assumed of a series that shows less, so that rounding is no change."""

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A stretch of points, `start` to `stop - 1`, around one mean."""

    start: int
    stop: int
    mean: float


def noise(values: Values) -> float:
    """Standard deviation of a series around its slow course, from neighbouring differences.

    Args:
        values: (N,) finite.

    Returns:
        Robust against few jumps; at least `LEAST_NOISE`.
    """
    if len(values) < 2:
        return LEAST_NOISE
    return noise_of(np.abs(np.diff(values)).tolist())


def noise_of(differences: Sequence[float]) -> float:
    """The same from the neighbouring differences' absolute values."""
    return max(LEAST_NOISE, median(differences) / NORMAL_MAD / sqrt(2.0))


def levels(values: Values, *, penalty: float, shortest: int) -> list[Level]:
    """The levels of a series, first to last.

    Args:
        values: (N,) finite, in order.
        penalty: price of one more level, in units of `noise^2 * log N` (1 and 2 are the usual ones:
            higher = fewer levels).
        shortest: points a level has at least.

    Returns:
        At least one level; none for no points.
    """
    count = len(values)
    if not count:
        return []
    stops: Sequence[int] = [count]
    if count >= 2 * shortest:
        price = penalty * noise(values) ** 2 * float(np.log(count))
        search = ruptures.KernelCPD(kernel="linear", min_size=shortest)
        stops = search.fit(values.reshape(-1, 1)).predict(pen=price)
    starts = [0, *stops[:-1]]
    sums = np.add.reduceat(values, starts).tolist()
    return [
        Level(start=start, stop=stop, mean=total / (stop - start))
        for start, stop, total in zip(starts, stops, sums, strict=True)
    ]


def thinned(steps: Values, values: Values, *, most: int) -> tuple[Values, Values, int]:
    """A long series as means over equally many neighbouring points.

    Args:
        steps: (N,) of the values.
        values: (N,).
        most: points that are left at most.

    Returns:
        First step of each group, mean of each group, points a group holds (1 = left as it was).
    """
    size = -(-len(values) // most) or 1
    if size == 1:
        return steps, values, 1
    first = np.arange(0, len(values), size)
    counts = np.diff(np.append(first, len(values)))
    return steps[first], np.add.reduceat(values, first) / counts, size
