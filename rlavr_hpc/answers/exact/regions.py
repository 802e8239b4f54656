"""Sets of real numbers as data: intervals that are apart, in rising order."""

from __future__ import annotations

from dataclasses import dataclass

from rlavr_hpc.answers.exact.approximate import INFINITY, MINUS_INFINITY
from rlavr_hpc.answers.exact.polynomial import Item


@dataclass(frozen=True, slots=True, kw_only=True)
class Ray:
    """One interval: its ends as values and as numbers, and whether they belong to it."""

    start: Item = MINUS_INFINITY
    end: Item = INFINITY
    low: float = float("-inf")
    high: float = float("inf")
    closed: tuple[bool, bool] = (False, False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A union of intervals that are apart, and the letter that is said to be in it."""

    rays: tuple[Ray, ...]
    name: str = ""

    @property
    def shape(self) -> str:
        """All brackets, in order."""
        return "".join("(["[ray.closed[0]] + ")]"[ray.closed[1]] for ray in self.rays)

    @property
    def items(self) -> tuple[Item, ...]:
        """All ends, in order."""
        return tuple(item for ray in self.rays for item in (ray.start, ray.end))
