"""Simulated runs for `benchmarks.alarm`: audited votes of many runs side by side.

R runs, T steps, P prompts; `chance_T` is the share of right votes at each step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rlavr_hpc.acquisition.vote_audit import audits_of
from rlavr_hpc.telemetry.collapse.alarm.alarm import BEST_LEVEL
from rlavr_hpc.telemetry.collapse.alarm.best_so_far import BestSoFar
from rlavr_hpc.telemetry.collapse.alarm.certificate import log_evidence
from rlavr_hpc.telemetry.collapse.alarm.floor import FloorTest
from rlavr_hpc.telemetry.collapse.alarm.pairs import KEPT_SHARE, LAST_PASSES, PairsTest
from rlavr_hpc.telemetry.collapse.alarm.wealth import beyond_plan

Array = npt.NDArray[np.float64]
LEVEL = 0.05
PROMPTS, BATCH = 1000, 64
"""Of the testbed."""
FIRST_AUDITS = 64
"""What a relative alarm needs before the first step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """Runs of one kind."""

    chance_T: Array
    runs: int
    seed: int

    @property
    def steps(self) -> int:
        """T."""
        return len(self.chance_T)

    def with_floor(self, floor: float, *, per_step: float) -> Array:
        """(R,) step of the alarm of a fixed floor; inf = none."""
        rng, first_R = self._rng, np.full(self.runs, np.inf)
        test = FloorTest(planned=max(1, int(per_step * self.steps)))
        for step in range(1, self.steps + 1):
            for _ in range(audits_of(step, per_step)):
                test.bet(rng.random(self.runs) < self.chance_T[step - 1], floor=floor)
            _note(first_R, test.wealth >= 1 / LEVEL, step)
        return first_R

    def against_best(self, *, per_step: float) -> Array:
        """(R,) step of the alarm of 0.9 of the best so far, with 64 audits at the first step."""
        rng, first_R = self._rng, np.full(self.runs, np.inf)
        test = FloorTest(planned=int(per_step * self.steps) + FIRST_AUDITS)
        best = BestSoFar(level=BEST_LEVEL * LEVEL)
        for step in range(1, self.steps + 1):
            for _ in range(audits_of(step, per_step) + FIRST_AUDITS * (step == 1)):
                right_R = rng.random(self.runs) < self.chance_T[step - 1]
                test.bet(right_R, floor=KEPT_SHARE * best.low)
                best.see(right_R)
            _note(first_R, test.wealth >= 1 / ((1 - BEST_LEVEL) * LEVEL), step)
        return first_R

    def with_pairs(self, labels: int, *, stable: bool, batch: int = BATCH) -> Array:
        """(R,) step of the alarm of kept prompts' later passes.

        Args:
            labels: kept prompts, of 1,000, on average.
            stable: whether the same prompts' votes are right in every pass, as far as the share
                allows; else each vote is drawn anew.
            batch: prompts of a step.
        """
        rng, first_R = self._rng, np.full(self.runs, np.inf)
        per_pass = PROMPTS // batch
        planned = -(-self.steps // per_pass) - 1
        kept_RP = rng.random((self.runs, PROMPTS)) < labels / PROMPTS
        hard_RP = rng.random((self.runs, PROMPTS))
        seen: dict[int, Array] = {}
        test, order_P = PairsTest(pass_number=2, steps=per_pass), np.arange(PROMPTS)
        for step in range(1, self.steps + 1):
            number, place = (step - 1) // per_pass + 1, (step - 1) % per_pass
            if place == 0:
                order_P = rng.permutation(PROMPTS)
                seen = {p: v for p, v in seen.items() if p == 1 or p >= number - LAST_PASSES}
                seen[number] = np.full((self.runs, PROMPTS), np.nan)
                test = PairsTest(pass_number=max(2, number), steps=per_pass)
            batch_B = order_P[place * batch : (place + 1) * batch]
            drawn_RB = hard_RP[:, batch_B] if stable else rng.random((self.runs, batch))
            now_RB = (drawn_RB < self.chance_T[step - 1]).astype(float)
            seen[number][:, batch_B] = now_RB
            if number > 1:
                test.begin_step()
                for earlier in test.references:
                    then_RB = seen[earlier][:, batch_B]
                    paired_RB = kept_RP[:, batch_B] & ~np.isnan(then_RB)
                    test.bet(
                        earlier,
                        before_M=np.where(paired_RB, then_RB, 0.0),
                        now_M=np.where(paired_RB, now_RB, 0.0),
                    )
                level = LEVEL * beyond_plan(number - 1, planned=planned)
                _note(first_R, test.wealth >= 1 / level, step)
        return first_R

    def certified(self, share: float) -> Array:
        """(R,) audits after which `share` is certified, one audit a step; inf = never."""
        right_RT = (self._rng.random((self.runs, self.steps)) < self.chance_T).cumsum(1)
        audits_T, first_R = np.arange(1.0, self.steps + 1), np.full(self.runs, np.inf)
        for step in range(1, self.steps + 1):
            right_R = right_RT[:, step - 1].astype(float)
            evidence_R = log_evidence(
                right_R, np.full(self.runs, audits_T[step - 1]), np.full(self.runs, share)
            )
            _note(first_R, evidence_R >= -np.log(LEVEL), step)
        return first_R

    @property
    def _rng(self) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence([self.seed, self.steps, self.runs]))


def sudden(before: float, after: float, *, at: int, steps: int) -> Array:
    """A share of right votes that falls after step `at`."""
    return np.where(np.arange(1, steps + 1) > at, after, before)


def slow(before: float, after: float, *, begin: int, end: int, steps: int) -> Array:
    """A share of right votes that falls evenly between two steps."""
    share_T: Array = np.interp(np.arange(1, steps + 1), [begin, end], [before, after])
    return share_T


def _note(first_R: Array, reached_R: npt.NDArray[np.bool_], step: int) -> None:
    first_R[reached_R & np.isinf(first_R)] = step
