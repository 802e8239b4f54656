"""The order of prompts: a pure function of (seed, step), so its state is one cursor: the step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rlavr_hpc.errors import UserError
from rlavr_hpc.types import Prompt, StepKey

EPOCH_STREAM = 11
"""Keeps the shuffle apart from every other use of the run seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptStream:
    """Batches of `batch` prompts; each epoch has its own order and drops its last partial batch."""

    prompts: Sequence[Prompt]
    batch: int

    def __post_init__(self) -> None:
        """Refuse a data set smaller than one batch."""
        if len(self.prompts) < self.batch:
            raise UserError(
                f"the data has {len(self.prompts)} usable prompts, fewer than one step needs "
                f"({self.batch} = algorithm.batch x algorithm.oversample); lower algorithm.batch "
                "or algorithm.oversample"
            )

    @property
    def steps_per_epoch(self) -> int:
        """Full batches in the data set."""
        return len(self.prompts) // self.batch

    def at(self, step_key: StepKey) -> list[Prompt]:
        """The batch of a step (counted from 1)."""
        epoch, index = divmod(step_key.step - 1, self.steps_per_epoch)
        entropy = [step_key.seed, step_key.branch, EPOCH_STREAM, epoch]
        order = np.random.default_rng(np.random.SeedSequence(entropy)).permutation(
            len(self.prompts)
        )
        chosen = order[index * self.batch : (index + 1) * self.batch]
        return [self.prompts[int(i)] for i in chosen]
