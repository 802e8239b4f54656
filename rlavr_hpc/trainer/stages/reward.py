"""Reward: the true reward where a label was bought, the pseudo-reward elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rlavr_hpc.answers.verifier import Grade
from rlavr_hpc.config.labels import OnWrong
from rlavr_hpc.learning.rewards import assign_rewards, pseudo_label_weights, refute_votes
from rlavr_hpc.trainer.components import Components
from rlavr_hpc.trainer.stages.buy import StepPurchase
from rlavr_hpc.trainer.stages.context import StepContext
from rlavr_hpc.trainer.stages.rollout import RolloutBatch
from rlavr_hpc.trainer.stages.score import ScoringResult
from rlavr_hpc.training_types import TrainingGroup
from rlavr_hpc.types import Group, SelfRewardInputs


def reward_groups(
    step: StepContext,
    groups: Sequence[Group],
    *,
    purchase: StepPurchase,
    grades: Mapping[str, Grade],
    self_inputs: Mapping[str, SelfRewardInputs],
) -> list[TrainingGroup]:
    """Rewards and the weight of every group in training (method, sections 1 and 4).

    A vote that is known to be wrong has weight 0: nothing is trained towards it.
    """
    components = step.components
    weights = pseudo_label_weights(
        [group.prompt.id for group in groups],
        unlabelled=str(components.config.unlabelled),
        selection=purchase.selection,
        soft_adv=components.config.soft_adv,
    )
    with step.clock.phase("grade"):
        rewarded = assign_rewards(
            groups,
            by_label={prompt: grades[prompt].rewards for prompt in purchase.labels},
            by_vote=_pseudo_label_rewards(components, groups, grades),
            pseudo=components.pseudo,
            own=self_inputs,
            trust={**weights, **dict.fromkeys(purchase.wrong, 0.0)},
        )
    if components.config.labels.on_wrong is OnWrong.negative:
        return refute_votes(rewarded, purchase.wrong)
    return rewarded


def self_reward_inputs(
    groups: Sequence[Group], scores: ScoringResult, rollouts: RolloutBatch
) -> dict[str, SelfRewardInputs]:
    """What the policy makes of its own responses, by prompt id, as far as it was asked."""
    return {
        group.prompt.id: SelfRewardInputs(
            scores=scores.responses.get(group.prompt.id, ()),
            verdicts=rollouts.self_verdicts.get(group.prompt.id, ()),
        )
        for group in groups
    }


def _pseudo_label_rewards(
    components: Components, groups: Sequence[Group], grades: Mapping[str, Grade]
) -> dict[str, tuple[float, ...]]:
    """By the policy's own pseudo-label where it gives one, else by the majority vote."""
    return {
        group.prompt.id: tuple(
            grades[group.prompt.id].rewards
            if group.prompt.id in grades
            else components.verifier.against_vote(group).rewards
        )
        for group in groups
    }
