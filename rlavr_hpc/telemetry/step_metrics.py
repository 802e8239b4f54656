"""Numbers of a step that need no label but the bought ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.reduce import Mean, Metrics, mean_of
from rlavr_hpc.types import Group, Label, Lesson, Signal

FROM_SUMS = {
    names.TRAIN_ENTROPY: "entropy",
    names.TRAIN_CLIP_LOW: "clip_low",
    names.TRAIN_CLIP_HIGH: "clip_high",
    names.TRAIN_UPDATE_KL: "update_kl",
    names.TRAIN_REFERENCE_KL: "reference_kl",
    names.TRAIN_SAMPLER_GAP: "sampler_gap",
    names.TRAIN_SAMPLER_KL: "sampler_kl",
    names.TRAIN_SAMPLER_RATIO: "sampler_ratio",
    names.TRAIN_SAMPLER_TRUNCATED: "sampler_truncated",
}
"""Metric -> key of an update's token sums."""


def group_metrics(groups: Sequence[Group], signals: Sequence[Signal]) -> Metrics:
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
        names.COLLAPSE_PSEUDO_REWARD: mean_of(
            r for s in signals if not s.bought for r in s.rewards
        ),
        names.COLLAPSE_TRAINED_REWARD: mean_of(r for s in signals for r in s.rewards),
        names.COLLAPSE_LENGTH_TOKENS: Mean(tokens, len(rollouts)),
        names.COLLAPSE_TRUNCATED: mean_of(r.truncated for r in rollouts),
        names.COLLAPSE_SURPRISE: Mean(-sum(sum(r.logprobs) for r in rollouts), tokens),
    }


def label_metrics(labels: Mapping[str, Label], lessons: Sequence[Lesson], *, total: int) -> Metrics:
    """What was bought, and what it says about the votes.

    Args:
        labels: this step's labels.
        lessons: the newly bought ones, compared with the responses.
        total: new labels of the run so far.
    """
    reused = sum(label.reused for label in labels.values())
    return {
        names.LABELS_BOUGHT: Mean(len(labels) - reused),
        names.LABELS_TOTAL: Mean(total),
        names.LABELS_REUSED: Mean(reused),
        names.LABELS_VOTE_RIGHT: mean_of(x.group.vote.is_right(x.correct) for x in lessons),
        names.LABELS_NONE_CORRECT: mean_of(not any(x.correct) for x in lessons),
        names.LABELS_REWARD_GAP: mean_of(
            agrees - right
            for lesson in lessons
            for agrees, right in zip(lesson.group.vote.majority, lesson.correct, strict=True)
        ),
    }


def update_metrics(sums: Mapping[str, float], *, grad_norm: float) -> Metrics:
    """One optimizer update, from its sums over tokens."""
    tokens = sums["tokens"]
    squared = sums["sampler_ratio_squared"] * tokens
    return {
        names.TRAIN_LOSS: Mean(sums["loss"]),
        names.TRAIN_GRAD_NORM: Mean(grad_norm),
        names.TRAIN_SAMPLER_ESS: Mean(sums["sampler_ratio"] ** 2 / squared if squared else 0.0),
        **{name: Mean(sums[key], tokens) for name, key in FROM_SUMS.items() if key in sums},
    }
