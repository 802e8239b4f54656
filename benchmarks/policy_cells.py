"""One cell of a study: an acquisition policy at a budget, over its seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

FLOOR, CEILING, LINE = "random", "full", "cag_oracle, rest on votes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One policy at one budget."""

    seeds: int
    accuracy: float
    """Mean over seeds of held-out accuracy at the end."""
    half_width: float
    """Of the 95% interval of that mean over seeds; not a number for one seed."""
    labels: float
    collapsed: int
    """Seeds that collapsed."""


Cells = Mapping[tuple[str, float], Cell]
"""(arm, budget) -> cell."""
