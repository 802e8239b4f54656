"""Whose vote is audited: members drawn by a hash, and trusted votes drawn at random in each step.

Members are *kept*: their labels never reach training, so the run is the same whoever is one, and
they are a random sample of the prompts at every step. No policy, quota or price may depend on who
is a member.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence, Set
from dataclasses import dataclass

import numpy as np

from rlavr_hpc.types import StepKey

STREAM = 29
"""Keeps these draws apart from every other use of the run seed."""
FEWEST_KEPT = 100
"""Members of the whole data set, by default; a step has one at least, too."""
SPREAD = 5
"""Standard deviations of the number of members that are set aside under a cap on labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditDraw:
    """Who is audited in one branch of a run; a roll-back draws anew."""

    seed: int
    branch: int
    kept_share: float
    """Chance of each prompt to be a member; 0 = none is."""
    used_per_step: float
    """Trusted votes drawn in a step; 0 = none are."""
    population: Set[str]
    """Prompts with a label; of the others nothing can be said."""

    def members(self, prompts: Sequence[str]) -> list[str]:
        """Those of a step's prompts whose label is kept from training."""
        return [p for p in prompts if p in self.population and self._place(p) < self.kept_share]

    def trusted(self, prompts: Sequence[str], step_key: StepKey) -> list[str]:
        """A step's draws among trusted prompts, with replacement.

        Args:
            prompts: whom the policy trusts; it chose before.
            step_key: the step.
        """
        there = [prompt for prompt in prompts if prompt in self.population]
        count = audits_of(step_key.step, self.used_per_step)
        if not there or not count:
            return []
        entropy = [step_key.seed, step_key.branch, STREAM, step_key.step]
        rng = np.random.default_rng(np.random.SeedSequence(entropy))
        return [there[int(i)] for i in rng.integers(len(there), size=count)]

    def reserve(self) -> int:
        """More members than there are, but for a chance below one in a million."""
        share, size = self.kept_share, len(self.population)
        spread = SPREAD * math.sqrt(size * share * (1.0 - share))
        return min(size, math.ceil(size * share + spread)) if share else 0

    def _place(self, prompt: str) -> float:
        """Of a prompt in [0, 1): uniform, and independent of all else."""
        name = f"{self.seed}/{self.branch}/{prompt}".encode(errors="surrogatepass")
        return int.from_bytes(hashlib.sha256(name).digest()[:7]) / 2**56


def usual_share(*, batch: int, prompts: int) -> float:
    """max(1 / batch, 100 / prompts): a member a step and a hundred in all, at least."""
    return min(1.0, max(1.0 / batch, FEWEST_KEPT / prompts))


def audits_of(step: int, per_step: float) -> int:
    """Audits of one step, so that they come evenly."""
    return math.floor(per_step * step + 1e-9) - math.floor(per_step * (step - 1) + 1e-9)
