"""Metric values that add up: a total and a count, so that ranks and batches merge exactly."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean that can be merged with others."""

    total: float
    count: float = 1.0

    def __add__(self, other: Mean) -> Mean:
        """The mean over both."""
        return Mean(self.total + other.total, self.count + other.count)


Metrics = dict[str, Mean]


def mean_of(values: Iterable[float]) -> Mean:
    """The mean of values; of none, it is left out of the row."""
    listed = [float(value) for value in values]
    return Mean(sum(listed), len(listed))


def merge(parts: Iterable[Mapping[str, Mean]]) -> Metrics:
    """Add up metrics of the same name."""
    merged: Metrics = {}
    for part in parts:
        for name, value in part.items():
            merged[name] = merged[name] + value if name in merged else value
    return merged


def as_row(metrics: Mapping[str, Mean]) -> dict[str, float]:
    """Name -> value; a mean over nothing, or one that overflowed, has no value and is left out."""
    values = {name: m.total / m.count for name, m in metrics.items() if m.count}
    return {name: value for name, value in values.items() if math.isfinite(value)}
