"""Wealth of a bet against a hypothesis: what all tests of the alarm share.

A test starts with wealth 1 and bets on every audited vote so that, if its hypothesis holds, the
wealth is not expected to grow. Then it reaches 1/a with probability a at most, at whatever time the
run is looked at or stopped (Ville's inequality; "Estimating means of bounded random variables by
betting", arXiv 2010.09686). Bets that begin at every audit, each with a share of the wealth, notice
a change wherever it comes ("E-detectors", arXiv 2203.03532); the shares add up to 1, so the bound
is on the whole run and not on the mean time between alarms.

Shapes: R runs side by side, in simulations only; a run of the product has no such axis.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Outcome = bool | float | npt.NDArray[Any]
"""1 where an audited vote was right, else 0; (R,) in simulations."""

CEILING = 1e12
"""No wealth is kept above it: less wealth than allowed breaks no bound, and numbers stay finite."""
TAIL = 0.1
"""Share of wealth or level that is kept for audits or passes beyond the planned ones."""


def beyond_plan(number: int, *, planned: int) -> float:
    """Share of the `number`-th of a row, 1, 2, ..., of which `planned` are foreseen; they add to 1.

    The planned ones share 1 - TAIL evenly, the rest is spread as TAIL / (j (j + 1)) over those that
    follow them.
    """
    if number <= planned:
        return (1.0 - TAIL) / planned
    after = number - planned
    return TAIL / (after * (after + 1))


def beyond_plan_until(number: int, *, planned: int) -> float:
    """The sum of the first `number` shares."""
    if number <= planned:
        return (1.0 - TAIL) * number / planned if planned else 0.0
    after = number - planned
    return (1.0 - TAIL if planned else 0.0) + TAIL * (1.0 - 1.0 / (after + 1))


def stored(array: Array) -> list[Any]:
    """An array as JSON holds it, exactly."""
    plain: list[Any] = array.tolist()
    return plain
