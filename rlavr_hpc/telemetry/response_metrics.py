"""Numbers of a step's responses and of what they are trained on, without labels nobody bought."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.reduce import Mean, Metrics, max_of, mean_of
from rlavr_hpc.training_types import TrainingGroup
from rlavr_hpc.types import Group, Rollout

LOOP_TIMES = 4
LOOP_TOKENS = 32
"""A response is caught in a loop when its end says one piece so often, over so many tokens."""
HIGH_SHARE = 0.9


def group_metrics(groups: Sequence[Group], signals: Sequence[TrainingGroup]) -> Metrics:
    """What the rollouts look like from outside, without any label nobody bought."""
    votes = [group.vote for group in groups]
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    tokens = sum(group.tokens for group in groups)
    return {
        names.COLLAPSE_MAJORITY_RATIO: mean_of(v.majority_ratio for v in votes),
        names.COLLAPSE_ANSWER_ENTROPY: mean_of(v.entropy for v in votes),
        names.COLLAPSE_DISTINCT_ANSWERS: mean_of(len(v.clusters) for v in votes),
        names.COLLAPSE_UNPARSABLE: Mean(sum(v.unparsable for v in votes), len(rollouts)),
        names.COLLAPSE_UNANIMOUS: mean_of(v.majority_ratio == 1.0 for v in votes),
        names.COLLAPSE_NOTHING_PARSABLE: mean_of(not v.clusters for v in votes),
        names.GRADE_UNGRADABLE: Mean(sum(len(v.ungradable) for v in votes), len(rollouts)),
        names.COLLAPSE_SAMPLED_ENTROPY: Mean(-sum(sum(r.logprobs) for r in rollouts), tokens),
        names.COLLAPSE_REPETITION: mean_of(ends_in_a_loop(r) for r in rollouts),
        **_rewards(signals),
        **_lengths(groups, rollouts),
    }


def _rewards(signals: Sequence[TrainingGroup]) -> Metrics:
    unbought = [s for s in signals if not s.bought]
    return {
        names.COLLAPSE_PSEUDO_REWARD: mean_of(r for s in unbought for r in s.rewards),
        names.COLLAPSE_TRAINED_REWARD: mean_of(r for s in signals for r in s.rewards),
        names.COLLAPSE_REWARD_STD: mean_of(_spread(s.rewards) for s in signals),
        names.COLLAPSE_ZERO_ADVANTAGE: mean_of(max(s.rewards) == min(s.rewards) for s in signals),
        names.TRAIN_ALL_RIGHT: mean_of(s.all_right for s in signals),
        names.TRAIN_ALL_WRONG: mean_of(s.all_wrong for s in signals),
        names.TRAIN_VOTE_WEIGHT: mean_of(s.weight for s in unbought),
    }


def _lengths(groups: Sequence[Group], rollouts: Sequence[Rollout]) -> Metrics:
    lengths = [len(r.token_ids) for r in rollouts]
    winners = [len(g.rollouts[i].token_ids) for g in groups for c in g.vote.clusters[:1] for i in c]
    others = [len(g.rollouts[i].token_ids) for g in groups for c in g.vote.clusters[1:] for i in c]
    return {
        names.COLLAPSE_LENGTH_TOKENS: mean_of(lengths),
        names.COLLAPSE_LENGTH_P90_TOKENS: _high_percentile(lengths),
        names.COLLAPSE_LENGTH_MAX_TOKENS: max_of(lengths),
        names.COLLAPSE_LENGTH_STOPPED_TOKENS: mean_of(
            len(r.token_ids) for r in rollouts if not r.truncated
        ),
        names.COLLAPSE_LENGTH_VOTE_TOKENS: mean_of(winners),
        names.COLLAPSE_LENGTH_OTHERS_TOKENS: mean_of(others),
        names.COLLAPSE_TRUNCATED: mean_of(r.truncated for r in rollouts),
    }


def ends_in_a_loop(rollout: Rollout) -> bool:
    """Whether a response, its stop token apart, ends in one piece said again and again.

    A piece of p tokens counts when the last max(4 p, 32) tokens repeat with period p, wherever in
    the piece the response breaks off.
    """
    ids = rollout.token_ids if rollout.truncated else rollout.token_ids[:-1]
    size = len(ids)
    if size < LOOP_TOKENS:
        return False
    for period in range(1, size // LOOP_TIMES + 1):
        if ids[-1 - period] == ids[-1]:  # spares most comparisons
            start = size - max(LOOP_TIMES * period, LOOP_TOKENS)
            if ids[start + period :] == ids[start : size - period]:
                return True
    return False


def _spread(rewards: Sequence[float]) -> float:
    """Population standard deviation."""
    mean = sum(rewards) / len(rewards)
    return math.sqrt(sum((r - mean) ** 2 for r in rewards) / len(rewards))


def _high_percentile(values: Iterable[int]) -> Mean:
    """The smallest value that 90% of them do not exceed (nearest rank)."""
    ranked = sorted(values)
    if not ranked:
        return mean_of([])
    return Mean(ranked[math.ceil(HIGH_SHARE * len(ranked)) - 1])
