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
    """(B, G) advantages: of the shaped rewards within each group, times the group's weight.

    A group of which no more is known than that an answer is wrong has `refuted_advantages`.
    """
    return [
        refuted_advantages(group.refuted, group_size=len(group.rewards))
        if group.refuted
        else tuple(
            group.weight * advantage
            for advantage in group_advantages(shaping.shaped_rewards(group), shaping.advantage)
        )
        for group in training_groups
    ]


def refuted_advantages(refuted: Sequence[int], *, group_size: int) -> tuple[float, ...]:
    """(G,) advantages where x responses gave an answer known to be wrong: -x/G for them, else 0.

    Their reward is 0, and the baseline is what the group's pseudo-reward expected: its mean, x/G,
    when that answer is the vote. The others' reward is not known, so nothing is pushed up.

    The normalized advantage would divide by the pseudo-reward's std, which gives -sqrt(x/(G-x)):
    without bound as x nears G, where a model is most sure of its mistake. Undivided, values are in
    [-1, 0) and the group's norm, x sqrt(x)/G, is at most sqrt(G), that of any normalized group; so
    one rule serves all kinds of `algorithm.advantage`. With P the chance of the wrong answer, the
    mean over rollouts of sum_i A_i grad log p_i / G is -(1 + (G-1) P)/G grad P: it lowers P, and
    the more the likelier the mistake. Training on wrong answers alone: arXiv 2506.01347.

    Args:
        refuted: the x rollouts.
        group_size: G.
    """
    wrong = set(refuted)
    return tuple(-len(wrong) / group_size if i in wrong else 0.0 for i in range(group_size))


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
