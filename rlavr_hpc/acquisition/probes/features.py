"""What the probes see of a group, and what its label teaches them (method, section 3).

Shapes: G rollouts, D hidden size, C = G + 1 classes: how many rollouts outside the vote are right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rlavr_hpc.types import FloatArray, Group, HiddenStates, Lesson


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """One group before its label is bought."""

    prompt_P: FloatArray
    """(D + 1 + G,): the prompt's state, share of parsable answers, cluster sizes / G, falling."""
    responses_GD: FloatArray
    lengths_G: FloatArray
    """Response lengths over the limit, clipped to [0, 1]."""
    outside_G: npt.NDArray[np.bool_]
    """True for a parsable response outside the winning cluster."""
    allowed_C: npt.NDArray[np.bool_]
    """Counts that are possible: 0 and the sizes of the clusters that lost."""
    majority: int
    """Size of the winning cluster; 0 without a vote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One group with what its label said."""

    features: Features
    vote_right: bool
    correct_G: npt.NDArray[np.bool_]
    elsewhere: int
    """Correct responses outside the vote; 0 when the vote is right."""


def features_of(group: Group, hidden: HiddenStates, *, max_response_tokens: int) -> Features:
    """The probes' inputs.

    Args:
        group: with its vote.
        hidden: the policy's states for it.
        max_response_tokens: the limit on a response's length.
    """
    vote, size = group.vote, len(group.rollouts)
    sizes = [len(members) for members in vote.clusters]
    parsable = np.zeros(size, dtype=bool)
    parsable[[i for members in vote.clusters for i in members]] = True
    shares = np.zeros(1 + size, dtype=np.float32)
    shares[0] = parsable.mean()
    shares[1 : 1 + len(sizes)] = np.asarray(sizes, dtype=np.float32) / size
    lengths = np.array([len(r.token_ids) for r in group.rollouts], dtype=np.float32)
    allowed = np.zeros(size + 1, dtype=bool)
    allowed[[0, *sizes[1:]]] = True
    return Features(
        prompt_P=np.concatenate([hidden.prompt_D, shares]).astype(np.float32),
        responses_GD=hidden.responses_GD,
        lengths_G=np.clip(lengths / max_response_tokens, 0.0, 1.0).astype(np.float32),
        outside_G=parsable & ~np.array(vote.majority, dtype=bool),
        allowed_C=allowed,
        majority=sizes[0] if sizes else 0,
    )


def example_of(lesson: Lesson, features: Features) -> Example:
    """What a bought label teaches about a group."""
    vote = lesson.group.vote
    return Example(
        features=features,
        vote_right=vote.is_right(lesson.correct),
        correct_G=np.array(lesson.correct, dtype=bool),
        elsewhere=vote.correct_elsewhere(lesson.correct),
    )


def stack_prompts(features: Sequence[Features]) -> FloatArray:
    """(N, P)."""
    return np.stack([f.prompt_P for f in features])


def stack_responses(features: Sequence[Features], *, lengths: bool) -> FloatArray:
    """(N, G, D), or (N, G, D + 1) with the lengths as last column."""
    states_NGD = np.stack([f.responses_GD for f in features])
    if not lengths:
        return states_NGD
    lengths_NG1 = np.stack([f.lengths_G for f in features])[..., None]
    return np.concatenate([states_NGD, lengths_NG1], axis=-1)
