"""Buy labels of prompts drawn uniformly: the baseline every policy must beat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rlavr_hpc.acquisition.policy_protocol import choose_top
from rlavr_hpc.types import Group, Selection, View

STREAM = 13
"""Keeps these draws apart from every other use of the run seed."""


@dataclass(frozen=True, slots=True)
class RandomPolicy:
    """Scores every candidate with a uniform draw."""

    def choose(self, candidates: Sequence[Group], view: View) -> Selection:
        """A uniform sample without replacement, the same for the same place in the run."""
        entropy = [view.step_key.seed, view.step_key.branch, STREAM, view.step_key.step]
        draws = np.random.default_rng(np.random.SeedSequence(entropy)).random(len(candidates))
        scores = {g.prompt.id: float(d) for g, d in zip(candidates, draws, strict=True)}
        return choose_top(scores, quota=view.quota)
