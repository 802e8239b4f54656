"""Metric values that merge exactly over ranks and batches: a total and a count, or an extreme."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import variance
from typing import Self


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean that can be merged with others."""

    total: float
    count: float = 1.0

    def __add__(self, other: Mean) -> Self:
        """The value over both.

        Raises:
            TypeError: the other is merged in another way.
        """
        if type(other) is not type(self):
            raise TypeError(
                f"{type(self).__name__} and {type(other).__name__} of one metric cannot be merged"
            )
        return self._with(other)

    def _with(self, other: Mean) -> Self:
        return type(self)(self.total + other.total, self.count + other.count)


@dataclass(frozen=True, slots=True)
class Max(Mean):
    """The largest of values: the mean of itself alone; a count of 0 means that there was none."""

    def _with(self, other: Mean) -> Self:
        there = [value for value in (self, other) if value.count]
        return type(self)(max((v.total for v in there), default=0.0), float(bool(there)))


@dataclass(frozen=True, slots=True)
class Min(Mean):
    """The smallest of values; a count of 0 means that there was none."""

    def _with(self, other: Mean) -> Self:
        there = [value for value in (self, other) if value.count]
        return type(self)(min((v.total for v in there), default=0.0), float(bool(there)))


Metrics = dict[str, Mean]


def mean_of(values: Iterable[float]) -> Mean:
    """The mean of values; of none, it is left out of the row."""
    listed = [float(value) for value in values]
    return Mean(sum(listed), len(listed))


def variance_of_mean(values: Sequence[float]) -> Mean:
    """Unbiased variance of the values' mean; of fewer than two, it is left out of the row."""
    if len(values) < 2:
        return Mean(0.0, 0)
    return Mean(variance(values) / len(values))


def max_of(values: Iterable[float]) -> Max:
    """The largest of values; of none, it is left out of the row."""
    listed = [float(value) for value in values]
    return Max(max(listed, default=0.0), float(bool(listed)))


def min_of(values: Iterable[float]) -> Min:
    """The smallest of values; of none, it is left out of the row."""
    listed = [float(value) for value in values]
    return Min(min(listed, default=0.0), float(bool(listed)))


def merge(parts: Iterable[Mapping[str, Mean]]) -> Metrics:
    """Merge metrics of the same name.

    Raises:
        TypeError: a name has values of two kinds.
    """
    merged: Metrics = {}
    for part in parts:
        for name, value in part.items():
            merged[name] = merged[name] + value if name in merged else value
    return merged


def as_row(metrics: Mapping[str, Mean]) -> dict[str, float]:
    """Name -> value; a value over nothing, or one that overflowed, is left out."""
    values = {name: m.total / m.count for name, m in metrics.items() if m.count}
    return {name: value for name, value in values.items() if math.isfinite(value)}
