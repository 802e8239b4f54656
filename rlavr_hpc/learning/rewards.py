"""What each group is trained on: true rewards where a label was bought, else pseudo-rewards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from rlavr_hpc.types import Group, Signal

WEIGHT_OF_UNLABELLED = {"drop": 0.0, "pseudo": 1.0}
"""Trust in a prompt nobody bought (method, section 4)."""


class PseudoReward(Protocol):
    """The reward of a prompt without a label."""

    def of(self, group: Group, by_vote: Sequence[float]) -> tuple[float, ...]:
        """(G,) rewards; `by_vote` is what the task pays for agreeing with the majority."""


@dataclass(frozen=True, slots=True)
class VoteReward:
    """Agreement with the majority vote; nothing for anyone when there is no vote."""

    def of(self, group: Group, by_vote: Sequence[float]) -> tuple[float, ...]:
        """The task's reward for the vote."""
        return tuple(by_vote) if group.vote.clusters else (0.0,) * len(group.rollouts)


def assign_signals(
    groups: Sequence[Group],
    *,
    by_label: Mapping[str, Sequence[float]],
    by_vote: Mapping[str, Sequence[float]],
    pseudo: PseudoReward,
    unlabelled: str,
) -> list[Signal]:
    """One training signal per group, in order.

    Args:
        groups: the step's groups.
        by_label: prompt id -> (G,) rewards by the bought label; these train with weight 1.
        by_vote: prompt id -> (G,) rewards by the majority vote.
        pseudo: turns the latter into the pseudo-reward.
        unlabelled: a key of `WEIGHT_OF_UNLABELLED`.
    """
    return [
        Signal(group=group, rewards=tuple(by_label[group.prompt.id]), weight=1.0, bought=True)
        if group.prompt.id in by_label
        else Signal(
            group=group,
            rewards=pseudo.of(group, by_vote[group.prompt.id]),
            weight=WEIGHT_OF_UNLABELLED[unlabelled],
            bought=False,
        )
        for group in groups
    ]
