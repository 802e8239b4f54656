"""Pairs: fewer right votes than the same prompts had in an earlier pass over the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from rlavr_hpc.telemetry.collapse.alarm.wealth import CEILING, Array, stored

BETS_L = np.array([0.1, 0.25, 0.5, 0.8])
"""Shares staked."""
KEPT_SHARE = 0.9
"""Of the votes that were right in an earlier pass, so many may be right now without an alarm."""
LAST_PASSES = 8
"""References besides the first pass."""

Outcomes = Sequence[float] | npt.NDArray[Any]


def reference_weights(pass_number: int) -> dict[int, float]:
    """Earlier pass -> its weight: half on the first pass, half even on the last eight."""
    last = range(max(1, pass_number - LAST_PASSES), pass_number)
    weights = dict.fromkeys([1, *last], 0.0)
    weights[1] += 0.5
    for earlier in last:
        weights[earlier] += 0.5 / len(last)
    return weights


@dataclass(slots=True, kw_only=True)
class PairsTest:
    """Tests, within one pass, that right votes have not become fewer than 0.9 of an earlier pass's.

    z = 0.9 X(earlier pass) - X(this pass) of a prompt whose label was kept from training; wealth
    times 1 + l z. Half of it begins at the pass's first step, half evenly with each of its steps.
    Whose label is kept is independent of the run, prompt by prompt; given the run, that is the only
    chance in it (arXiv 2110.06177, 2203.03532). A pass has a wealth of its own: which prompts are
    kept is known by the next one, so passes must not be multiplied.
    """

    pass_number: int
    """2, 3, ..."""
    steps: int
    """Of the pass."""
    begun: int = 0
    """Steps begun."""
    _bets_EL: Array = field(init=False)
    """(E earlier passes, 4), in the order of `reference_weights`; (R, E, 4) in simulations."""
    _rows: dict[int, int] = field(init=False)
    _weights_E1: Array = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is bet yet."""
        weights = reference_weights(self.pass_number)
        self._rows = {earlier: row for row, earlier in enumerate(weights)}
        self._weights_E1 = np.array(list(weights.values()))[:, None]
        self._bets_EL = np.zeros((len(weights), len(BETS_L)))

    @property
    def references(self) -> list[int]:
        """The earlier passes that this one is compared with."""
        return list(self._rows)

    def begin_step(self) -> None:
        """Before the bets of a step."""
        self.begun += 1
        begins = 0.5 * (self.begun == 1) + 0.5 / self.steps
        self._bets_EL = self._bets_EL + self._weights_E1 * begins / len(BETS_L)

    def bet(self, earlier: int, *, before_M: Outcomes, now_M: Outcomes) -> None:
        """See prompts of this step that an earlier pass had, too.

        Args:
            earlier: the pass, one of `references`.
            before_M: (M,) or (R, M): 1 where a prompt's vote was right then, else 0.
            now_M: the same of this pass.
        """
        z_M1 = (KEPT_SHARE * np.asarray(before_M, float) - np.asarray(now_M, float))[..., None]
        factors_L = np.prod(1.0 + BETS_L * z_M1, axis=-2)
        bets_EL = self._bets_EL
        if bets_EL.ndim < factors_L.ndim + 1:  # simulated runs part at their first bet
            bets_EL = np.broadcast_to(bets_EL, (*factors_L.shape[:-1], *bets_EL.shape))
        bets_EL, row = bets_EL.copy(), self._rows[earlier]
        bets_EL[..., row, :] = np.minimum(bets_EL[..., row, :] * factors_L, CEILING)
        self._bets_EL = bets_EL

    @property
    def wealth(self) -> Array:
        """What has been won: 1 at first. () or (R,)."""
        begun = 0.5 * (self.begun > 0) + 0.5 * self.begun / self.steps
        total: Array = self._bets_EL.sum((-1, -2)) + max(0.0, 1.0 - begun)
        return total

    @property
    def strongest(self) -> int:
        """The earlier pass against which most was won."""
        won_E = self._bets_EL.sum(-1) / self._weights_E1[:, 0]
        return self.references[int(won_E.argmax())]

    def state(self) -> dict[str, Any]:
        """For a checkpoint: plain numbers."""
        return {
            "pass": self.pass_number,
            "steps": self.steps,
            "begun": self.begun,
            "bets": stored(self._bets_EL),
        }

    @classmethod
    def load(cls, state: Mapping[str, Any]) -> PairsTest:
        """The inverse of `state`; KeyError, TypeError or ValueError where it is none."""
        test = cls(
            pass_number=int(state["pass"]), steps=int(state["steps"]), begun=int(state["begun"])
        )
        test._bets_EL = np.array(state["bets"], float).reshape(test._bets_EL.shape)
        return test
