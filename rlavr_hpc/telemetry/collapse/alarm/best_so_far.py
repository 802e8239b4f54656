"""Best so far: how often votes were right at their best, as a lower bound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rlavr_hpc.telemetry.collapse.alarm.wealth import CEILING, Array, Outcome, stored

GRID_C = np.arange(1, 100) / 100.0
"""Values that the bound may have."""
BETS_H = np.array([0.15, 0.4, 0.8])
"""Shares staked; the same for every c, so that less wealth at a larger c is certain."""
FIRST = 0.75
"""Share of the wealth that begins with the first audit."""


@dataclass(slots=True, kw_only=True)
class BestSoFar:
    """A lower bound on the highest chance of a right vote so far, wrong with chance `level`.

    For each c on a grid, Q_h <- (Q_h + v_i / 3) * (1 - h + h X / c) is not expected to grow while
    the chance has never been above c; v_1 = 3/4, else 1 / (2 i (i + 1)). The bound is the largest c
    whose wealth ever reached 1 / level (arXiv 1810.08240, 2010.09686).
    """

    level: float
    audits: int = 0
    _bets_CH: Array = field(default_factory=lambda: np.zeros((len(GRID_C), len(BETS_H))))
    _low: Array = field(default_factory=lambda: np.zeros(()))

    def see(self, right: Outcome) -> None:
        """See one audited vote; (R,) in simulations."""
        self.audits += 1
        begins = FIRST if self.audits == 1 else 0.5 / (self.audits * (self.audits + 1))
        x_11 = np.asarray(right, float)[..., None, None]
        factors_CH = 1.0 - BETS_H + BETS_H * x_11 / GRID_C[:, None]
        begun_CH = self._bets_CH + begins / len(BETS_H)
        self._bets_CH = np.minimum(begun_CH * factors_CH, CEILING)
        wealth_C = self._bets_CH.sum(-1) + 0.5 / (self.audits + 1)
        reached = np.where(wealth_C >= 1.0 / self.level, GRID_C, 0.0).max(-1)
        self._low = np.maximum(self._low, reached)

    @property
    def low(self) -> Array:
        """The bound; 0 while nothing is known. () or (R,)."""
        return self._low

    def state(self) -> dict[str, Any]:
        """For a checkpoint: plain numbers."""
        return {
            "level": self.level,
            "audits": self.audits,
            "bets": stored(self._bets_CH),
            "low": float(self._low),
        }

    @classmethod
    def load(cls, state: Mapping[str, Any]) -> BestSoFar:
        """The inverse of `state`; KeyError, TypeError or ValueError where it is none."""
        return cls(
            level=float(state["level"]),
            audits=int(state["audits"]),
            _bets_CH=np.array(state["bets"], float).reshape(len(GRID_C), len(BETS_H)),
            _low=np.array(float(state["low"])),
        )
