"""The corrective advantage gap (CAG): what a label is worth (method, section 2)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rlavr_hpc.types import Group


def cag(*, majority: int, correct_elsewhere: int, group_size: int) -> float:
    """CAG of a group whose vote is wrong: || A(pseudo-reward) - A(true reward) ||_2.

    Closed form: sqrt(2G (1 + sqrt(xy / ((G-x)(G-y))))); sqrt(G) when no rollout is correct; 0 when
    all agree on a wrong answer or nobody gave one, since then neither signal moves anything.

    Args:
        majority: x, size of the winning cluster; 0 without a vote.
        correct_elsewhere: y, correct rollouts outside of it.
        group_size: G.

    Raises:
        ValueError: the counts do not fit into the group.
    """
    x, y, size = majority, correct_elsewhere, group_size
    if not (x >= 0 and y >= 0 and x + y <= size and size > 0):
        raise ValueError(f"{x} + {y} rollouts do not fit into a group of {size}")
    pseudo_moves, truth_moves = 0 < x < size, 0 < y < size
    if not (pseudo_moves and truth_moves):
        return math.sqrt(size) if pseudo_moves or truth_moves else 0.0
    return math.sqrt(2 * size * (1 + math.sqrt(x * y / ((size - x) * (size - y)))))


def true_cag(group: Group, correct: Sequence[bool] | None) -> float:
    """CAG of a group by its true answers; 0 when the vote is right or nothing is known.

    Args:
        group: with its vote.
        correct: (G,) by the label.
    """
    vote = group.vote
    if correct is None or not vote.clusters or vote.is_right(correct):
        return 0.0
    return cag(
        majority=len(vote.clusters[0]),
        correct_elsewhere=vote.correct_elsewhere(correct),
        group_size=len(correct),
    )
