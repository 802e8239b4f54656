"""Label-free rewards: the more certain the policy is of a response, the higher its reward.

They replace the vote where no label was bought (method, section 5). A prompt with a bought label
always gets its true reward.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from typing import ClassVar

from rlavr_hpc.types import Group, SelfRewardInputs


@dataclass(frozen=True, slots=True)
class SelfCertaintyReward:
    """Mean KL(uniform || next-token distribution): 0 for a uniform policy."""

    needs_scores: ClassVar[bool] = True

    def of(
        self, group: Group, by_vote: Sequence[float], own: SelfRewardInputs
    ) -> tuple[float, ...]:
        """(G,) rewards."""
        return tuple(response.certainty_mean for response in own.scores)


@dataclass(frozen=True, slots=True)
class TokenEntropyReward:
    """Minus the mean entropy of the next-token distributions."""

    needs_scores: ClassVar[bool] = True

    def of(
        self, group: Group, by_vote: Sequence[float], own: SelfRewardInputs
    ) -> tuple[float, ...]:
        """(G,) rewards."""
        return tuple(-response.entropy_mean for response in own.scores)


@dataclass(frozen=True, slots=True)
class TrajectoryEntropyReward:
    """Mean log-probability of the response's tokens."""

    needs_scores: ClassVar[bool] = True

    def of(
        self, group: Group, by_vote: Sequence[float], own: SelfRewardInputs
    ) -> tuple[float, ...]:
        """(G,) rewards."""
        return tuple(response.logp_mean for response in own.scores)


@dataclass(frozen=True, slots=True)
class ProbabilityReward:
    """Probability of the whole response."""

    needs_scores: ClassVar[bool] = True

    def of(
        self, group: Group, by_vote: Sequence[float], own: SelfRewardInputs
    ) -> tuple[float, ...]:
        """(G,) rewards."""
        return tuple(exp(response.logp_sum) for response in own.scores)
