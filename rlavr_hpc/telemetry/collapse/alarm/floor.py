"""Floor: evidence that votes are right less often than a floor says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rlavr_hpc.telemetry.collapse.alarm.wealth import (
    CEILING,
    Array,
    Outcome,
    beyond_plan,
    beyond_plan_until,
    stored,
)

BETS_T = np.array([0.15, 0.35, 0.6, 0.85, 0.97])
"""Shares of what a right vote could cost that are staked."""


@dataclass(slots=True, kw_only=True)
class FloorTest:
    """Tests that the chance of a right vote is never below a floor, which may move.

    g = 1 + t / (1 - f) * (f - X) is not expected to exceed 1 where the chance of X = 1 is at least
    f; S_t <- (S_t + w_i / 5) * g for each of the five t; the wealth is the sum of S_t and of the
    shares w that have not begun (arXiv 2010.09686, 2203.03532).
    """

    planned: int
    """Audits foreseen; those beyond have less power, and the bound holds for them, too."""
    audits: int = 0
    _bets_T: Array = field(default_factory=lambda: np.zeros(len(BETS_T)))

    def bet(self, right: Outcome, *, floor: float | Array) -> None:
        """See one audited vote.

        Args:
            right: whether it was right; (R,) in simulations.
            floor: in [0, 1), fixed before the prompt was drawn; (R,) in simulations.
        """
        self.audits += 1
        x_1, f_1 = np.asarray(right, float)[..., None], np.asarray(floor, float)[..., None]
        begun_T = self._bets_T + beyond_plan(self.audits, planned=self.planned) / len(BETS_T)
        factors_T = 1.0 + BETS_T / (1.0 - f_1) * (f_1 - x_1)
        self._bets_T = np.minimum(begun_T * factors_T, CEILING)

    @property
    def wealth(self) -> Array:
        """What has been won: 1 at first. () or (R,)."""
        rest = 1.0 - beyond_plan_until(self.audits, planned=self.planned)
        total: Array = self._bets_T.sum(-1) + rest
        return total

    def state(self) -> dict[str, Any]:
        """For a checkpoint: plain numbers."""
        return {"planned": self.planned, "audits": self.audits, "bets": stored(self._bets_T)}

    @classmethod
    def load(cls, state: Mapping[str, Any]) -> FloorTest:
        """The inverse of `state`; KeyError, TypeError or ValueError where it is none."""
        bets_T = np.array(state["bets"], float).reshape(len(BETS_T))
        return cls(planned=int(state["planned"]), audits=int(state["audits"]), _bets_T=bets_T)
