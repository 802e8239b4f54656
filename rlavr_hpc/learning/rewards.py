"""Rewards of each group: true rewards where a label was bought, else pseudo-rewards."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from rlavr_hpc.training_types import TrainingGroup
from rlavr_hpc.types import Group, Selection, SelfRewardInputs

DROP, PSEUDO, TRUSTED, SOFT = "drop", "pseudo", "trusted", "soft"
"""How a prompt without a label is trained on (method, section 4)."""


class PseudoReward(Protocol):
    """The reward of a prompt without a label."""

    def of(
        self, group: Group, by_vote: Sequence[float], own: SelfRewardInputs
    ) -> tuple[float, ...]:
        """(G,) rewards.

        Args:
            group: with its vote.
            by_vote: (G,) the task's rewards for agreeing with the majority.
            own: the policy's own view of the responses: scores for rewards with `needs_scores`.
        """


@dataclass(frozen=True, slots=True)
class VoteReward:
    """Agreement with the majority vote; 0 for all responses when there is no vote."""

    def of(
        self, group: Group, by_vote: Sequence[float], own: SelfRewardInputs
    ) -> tuple[float, ...]:
        """The task's reward for the vote."""
        return tuple(by_vote) if group.vote.clusters else (0.0,) * len(group.rollouts)


def assign_rewards(
    groups: Sequence[Group],
    *,
    by_label: Mapping[str, Sequence[float]],
    by_vote: Mapping[str, Sequence[float]],
    pseudo: PseudoReward,
    own: Mapping[str, SelfRewardInputs],
    trust: Mapping[str, float],
) -> list[TrainingGroup]:
    """The groups with their rewards and weights, in order.

    Args:
        groups: the step's groups.
        by_label: prompt id -> (G,) rewards by the bought label; these train with weight 1.
        by_vote: prompt id -> (G,) rewards by the majority vote, or by the acquisition policy's own
            pseudo-label.
        pseudo: makes the pseudo-reward from `by_vote`.
        own: prompt id -> the policy's own view of the responses.
        trust: prompt id -> weight of its pseudo-reward in [0, 1].
    """
    return [
        TrainingGroup(
            group=group, rewards=tuple(by_label[group.prompt.id]), weight=1.0, bought=True
        )
        if group.prompt.id in by_label
        else TrainingGroup(
            group=group,
            rewards=pseudo.of(group, by_vote[group.prompt.id], own[group.prompt.id]),
            weight=trust[group.prompt.id],
            bought=False,
        )
        for group in groups
    ]


def refute_votes(
    training_groups: Sequence[TrainingGroup], wrong: Mapping[str, str]
) -> list[TrainingGroup]:
    """The groups; those without a label are trained away from an answer known to be wrong.

    Args:
        training_groups: with their rewards.
        wrong: prompt id -> that answer. Where no response of the group gives it, as when a step
            that is done again has sampled others, its group stays as it is.
    """
    return [
        replace(one, refuted=one.group.vote.cluster_of(wrong[one.group.prompt.id]))
        if one.group.prompt.id in wrong and not one.bought
        else one
        for one in training_groups
    ]


def pseudo_label_weights(
    prompts: Sequence[str], *, unlabelled: str, selection: Selection, soft_adv: float
) -> dict[str, float]:
    """Weight in training of each prompt's pseudo-reward, used where no label is bought.

    Args:
        prompts: ids of the step's prompts.
        unlabelled: DROP gives 0 and PSEUDO 1. TRUSTED gives clip(soft_adv * score, 0, 1) to prompts
            that the acquisition policy trusts, and 0 to the others. SOFT gives
            exp(-soft_adv * score / mean score): the higher the value of a label, the lower the
            weight of the vote.
        selection: the acquisition policy's. A prompt without a score counts as average under SOFT,
            and has weight 1 under TRUSTED.
        soft_adv: see above.
    """
    scores = selection.scores
    if unlabelled == TRUSTED:
        weights = {p: soft_adv * scores[p] if p in scores else 1.0 for p in selection.trusted}
        return {p: min(max(weights.get(p, 0.0), 0.0), 1.0) for p in prompts}
    if unlabelled != SOFT:
        return dict.fromkeys(prompts, 1.0 if unlabelled == PSEUDO else 0.0)
    mean = sum(scores.values()) / len(scores) if scores else 0.0
    if mean == 0.0:  # no label is worth anything
        return dict.fromkeys(prompts, 1.0)
    return {p: math.exp(-soft_adv * scores.get(p, mean) / mean) for p in prompts}
