"""What the policy is trained on: groups with rewards, samples, and mini-batches of them.

Shape legend as in `rlavr_hpc.types`. No torch here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rlavr_hpc.types import Group


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingGroup:
    """What one group is trained on."""

    group: Group
    rewards: tuple[float, ...]
    """(G,)"""
    weight: float
    """Trust in [0, 1]: 1 for a bought label, by `unlabelled` for the rest."""
    bought: bool
    """True when `rewards` come from a true label."""
    refuted: tuple[int, ...] = ()
    """Rollouts known to be wrong, to be trained away from: their advantage takes the place of all
    that `rewards` and `weight` say."""

    @property
    def all_right(self) -> bool:
        """All responses earn the same, and something: right by the label, or unanimous."""
        return max(self.rewards) == min(self.rewards) > 0.0

    @property
    def all_wrong(self) -> bool:
        """All earn the same, and nothing: wrong by the label, no vote, or a penalty for all."""
        return 0.0 >= max(self.rewards) == min(self.rewards)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One response in the optimizer's batch."""

    key: tuple[str, int]
    """Prompt id and number of the rollout."""
    prompt_ids: tuple[int, ...]
    response_ids: tuple[int, ...]
    sampler_logprobs: tuple[float, ...]
    advantage: float
    counted: bool = True
    """False where it is left out of the update: of every figure, and of the divisor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MiniBatch:
    """The samples of one optimizer update over all ranks."""

    samples: Sequence[Sample]
    """Only those that move the weights (advantage != 0), unless the loss needs all."""
    response_tokens: int
    """Of *all* counted responses, those of advantage 0 included: the divisor of a mean loss."""
    responses: int
    """How many these are."""
