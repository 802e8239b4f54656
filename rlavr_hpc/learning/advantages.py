"""Group-relative advantages: a response's reward compared with the others of its prompt.

Shapes: B groups of a step, G responses of a prompt.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rlavr_hpc.config.algorithm import Advantage
from rlavr_hpc.learning.reward_shaping import Shaping
from rlavr_hpc.training_types import TrainingGroup

NO_SPREAD = 1e-8


def compute_advantages(
    training_groups: Sequence[TrainingGroup], shaping: Shaping
) -> list[tuple[float, ...]]:
    """(B, G) advantages: of the shaped rewards within each group, times the group's weight."""
    return [
        tuple(
            group.weight * advantage
            for advantage in group_advantages(shaping.shaped_rewards(group), shaping.advantage)
        )
        for group in training_groups
    ]


def group_advantages(
    rewards: Sequence[float], kind: Advantage = Advantage.normalized
) -> tuple[float, ...]:
    """(G,) advantages; all zero where the rewards' population std is below 1e-8.

    normalized: (r - mean) / std, population std. centred: r - mean. leave_one_out: r - mean of the
    others = G / (G - 1) (r - mean). `Advantage` names their sources.

    Args:
        rewards: (G,), two or more.
        kind: one of the three.
    """
    rewards_G = np.asarray(rewards, dtype=np.float64)
    spread = rewards_G.std()
    if spread < NO_SPREAD:
        return (0.0,) * len(rewards)
    centred_G = rewards_G - rewards_G.mean()
    if kind is Advantage.normalized:
        return tuple(float(a) for a in centred_G / spread)
    others = len(rewards) / (len(rewards) - 1) if kind is Advantage.leave_one_out else 1.0
    return tuple(float(a) for a in centred_G * others)
