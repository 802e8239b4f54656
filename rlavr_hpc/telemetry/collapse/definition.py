"""Has a run collapsed? The definition every detector is judged by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

WINDOW = 10
FLOOR = 0.8


def collapse_onset(true_rewards: Sequence[float]) -> int | None:
    """The first step after which the reward stays low.

    Low: its 10-step mean is below 0.8 times the running maximum of that mean.

    Args:
        true_rewards: mean true reward of steps 1, 2, ....

    Returns:
        The step (counted from 1) of the first window of the final low stretch; None = no collapse.
    """
    if len(true_rewards) < WINDOW:
        return None
    means = np.convolve(true_rewards, np.full(WINDOW, 1.0 / WINDOW), mode="valid")
    low = means < FLOOR * np.maximum.accumulate(means)
    if not low[-1]:
        return None
    healthy = np.flatnonzero(~low)
    return int(healthy[-1]) + 1 + WINDOW
