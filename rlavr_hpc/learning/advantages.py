"""Group-relative advantages: what a response earns against the others of its prompt.

Shapes: G responses of a prompt.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rlavr_hpc.config.algorithm import Advantage

NO_SPREAD = 1e-8


def group_advantages(
    rewards: Sequence[float], kind: Advantage = Advantage.normalized
) -> tuple[float, ...]:
    """(G,) advantages; all zero where the rewards' population std is below 1e-8.

    normalized: (r - mean) / std, population std. centred: r - mean. leave_one_out: r - mean of the
    others = G / (G - 1) (r - mean). Sources stand with `Advantage`.

    Args:
        rewards: (G,), two or more.
        kind: which of them.
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
