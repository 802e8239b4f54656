"""Group-relative advantages (GRPO)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

NO_SPREAD = 1e-8


def group_advantages(rewards: Sequence[float]) -> tuple[float, ...]:
    """(r - mean) / std inside a group, population std; all zero when std < 1e-8."""
    rewards_G = np.asarray(rewards, dtype=np.float64)
    spread = rewards_G.std()
    if spread < NO_SPREAD:
        return (0.0,) * len(rewards)
    return tuple(float(a) for a in (rewards_G - rewards_G.mean()) / spread)
