"""What is known of a metric besides its values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

PLACEHOLDERS = {"SET": r"[^/]+", "PROBE": r"[^/]+", "N": r"\d+"}
"""Parts of a name that a run fills in, and what they may be."""


class Reduction(StrEnum):
    """How several values of a step become the one in its row."""

    mean = "mean"
    """Total over count, so that parts of different sizes merge exactly."""
    max = "max"
    min = "min"
    value = "value"
    """There is one a step, and nothing to reduce."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricInfo:
    """One metric, or a family of them whose name has a placeholder: SET, PROBE or N."""

    name: str
    unit: str
    """`share` = a number in [0, 1] of things counted; `1` = a pure number."""
    low: float | None = None
    """The smallest value there can be, rounding apart; None = no limit."""
    high: float | None = None
    reduction: Reduction = Reduction.mean
    over: str = ""
    """What is averaged or compared."""
    meaning: str
    formula: str = ""
    source: str = ""
    """Where it comes from."""
    when: str = ""
    """When a row has it; empty = in every row of a step."""
    elsewhere: tuple[str, ...] = ()
    """What other trainers call it, or the nearest thing that they have."""

    @property
    def group(self) -> str:
        """The part before the first slash."""
        return self.name.partition("/")[0]

    def names(self, name: str) -> bool:
        """Whether this is the metric of that name, or its family."""
        if name == self.name:
            return True
        words = re.split(r"(\bSET\b|\bPROBE(?=_)|(?<=@)N\b)", self.name)
        pattern = "".join(PLACEHOLDERS.get(word, re.escape(word)) for word in words)
        return re.fullmatch(pattern, name) is not None

    def allows(self, value: float, *, tolerance: float = 1e-5) -> bool:
        """Whether a value is within the range, up to the rounding of sums in float32."""
        return (self.low is None or value >= self.low - tolerance) and (
            self.high is None or value <= self.high + tolerance
        )
