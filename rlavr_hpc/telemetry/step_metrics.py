"""Numbers of a step's purchases and updates, and of the work it did in its time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.reduce import Max, Mean, Metrics, max_of, mean_of, min_of
from rlavr_hpc.training_types import MiniBatch
from rlavr_hpc.types import Group, Label, LabelledGroup

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
FROM_LARGEST = {
    names.TRAIN_RATIO_MAX: "ratio",
    names.TRAIN_SAMPLER_GAP_MAX: "sampler_gap",
}
"""Metric -> key of an update's largest token values."""
NO_VARIANCE = 1e-12
"""Below it probabilities are all the same, and nothing correlates with them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSpend:
    """What a step asked for and was given, and how far the run has come with it."""

    quota: int
    """New labels the step might have bought."""
    bought: int
    """Labels that became visible in it."""
    cost: float
    """Of these, and of answers that came to nothing."""
    void: int
    """Of those it asked for, how many do not exist."""
    total: int
    """New labels of the run so far."""
    asked: int
    """Labels asked for so far, void ones included: what a cap counts."""
    cap: int | None
    """`budget_total`."""
    pending: int | None = None
    """Labels asked for that nobody has seen; None with a source that answers at once."""
    wrong: int | None = None
    """Of the void ones, votes that a verdict calls wrong; None where no verdict is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What one optimizer update did, over all ranks."""

    sums: Mapping[str, float]
    """Sums over the counted tokens; `tokens` is their number; `loss` is the loss."""
    largest: Mapping[str, float] = field(default_factory=dict)
    """Largest value of a counted token."""
    grad_norm: float
    """Before clipping."""
    lr: float
    rank_tokens: tuple[int, ...]
    """Per rank: prompt and response tokens it trained on, repeated samples included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a step got done."""

    generated: tuple[int, ...]
    """Per replica of the rollout engine: response tokens."""
    responses: int
    trained: int
    """Prompt and response tokens that went through the backward pass, each once."""
    ranks: int


def label_metrics(
    labels: Mapping[str, Label], labelled: Sequence[LabelledGroup], spend: StepSpend
) -> Metrics:
    """What was bought, and what it says about the votes.

    Args:
        labels: this step's labels.
        labelled: the groups whose label is new, with the correctness of their responses; also those
            of which a verdict says that their vote is wrong.
        spend: of the step and of the run.
    """
    reused = sum(label.reused for label in labels.values())
    of_some = {names.LABELS_PENDING: spend.pending, names.LABELS_WRONG_VOTES: spend.wrong}
    return {
        **{name: Mean(value) for name, value in of_some.items() if value is not None},
        names.LABELS_QUOTA: Mean(spend.quota),
        names.LABELS_BOUGHT: Mean(spend.bought),
        names.LABELS_VOID: Mean(spend.void),
        names.LABELS_COST: Mean(spend.cost),
        names.LABELS_TOTAL: Mean(spend.total),
        names.LABELS_BUDGET_USED: Mean(spend.asked, spend.cap or 0),
        names.LABELS_REUSED: Mean(reused),
        names.LABELS_VOTE_RIGHT: mean_of(x.group.vote.is_right(x.correct) for x in labelled),
        names.LABELS_NONE_CORRECT: mean_of(not any(x.correct) for x in labelled if not x.unknown),
        names.LABELS_REWARD_GAP: mean_of(
            agrees - right
            for one in labelled
            for agrees, right in zip(one.group.vote.majority, one.correct, strict=True)
        ),
    }


def advantage_metrics(batches: Sequence[MiniBatch], *, responses: int) -> Metrics:
    """How hard the step's responses advantage.

    Args:
        batches: of the step; the responses that they do not hold advantage nowhere.
        responses: of the step, those included.
    """
    advantages = [sample.advantage for batch in batches for sample in batch.samples]
    others = [0.0] * (len(advantages) < responses)
    square = sum(advantage * advantage for advantage in advantages) / responses
    return {
        names.TRAIN_NONZERO_ADVANTAGE: Mean(
            sum(advantage != 0.0 for advantage in advantages), responses
        ),
        names.TRAIN_LEFT_OUT: Mean(responses - sum(b.responses for b in batches), responses),
        names.TRAIN_ADVANTAGE_STD: Mean(math.sqrt(square)),  # their mean is 0 in most groups
        names.TRAIN_ADVANTAGE_MAX: max_of(advantages + others),
        names.TRAIN_ADVANTAGE_MIN: min_of(advantages + others),
    }


def update_metrics(update: Update) -> Metrics:
    """One optimizer update, from its sums over tokens."""
    sums, largest = update.sums, update.largest
    tokens = sums["tokens"]
    squared = sums["sampler_ratio_squared"] * tokens
    return {
        names.TRAIN_LOSS: Mean(sums["loss"]),
        names.TRAIN_GRAD_NORM: Mean(update.grad_norm),
        names.TRAIN_LR: Mean(update.lr),
        names.TRAIN_SAMPLER_ESS: Mean(sums["sampler_ratio"] ** 2 / squared if squared else 0.0),
        names.TRAIN_SAMPLER_CORRELATION: _correlation(sums),
        names.PERF_TRAIN_IMBALANCE: imbalance(update.rank_tokens),
        **{name: Mean(sums[key], tokens) for name, key in FROM_SUMS.items() if key in sums},
        **{name: Max(largest[key]) for name, key in FROM_LARGEST.items() if key in largest},
    }


def rate_metrics(work: Work, timed: Metrics) -> Metrics:
    """Throughput.

    Args:
        work: of the step.
        timed: its seconds, by `time/PHASE`.
    """
    tokens = sum(work.generated)
    step, generate, train = (
        timed[name].total
        for name in (names.TIME_STEP, names.time_name("generate"), names.time_name("train"))
    )
    return {
        names.PERF_TOKENS_PER_SECOND: Mean(tokens, step),
        names.PERF_TOKENS_PER_SECOND_PER_RANK: Mean(tokens, step * work.ranks),
        names.PERF_RESPONSES_PER_SECOND: Mean(work.responses, step),
        names.PERF_GENERATE_TOKENS_PER_SECOND: Mean(tokens, generate),
        names.PERF_TRAIN_TOKENS_PER_SECOND: Mean(work.trained, train),
        names.PERF_GENERATE_IMBALANCE: imbalance(work.generated),
    }


def generated_tokens(groups: Sequence[Group], *, replicas: int) -> tuple[int, ...]:
    """Response tokens of each replica; the groups are dealt to them in turn."""
    return tuple(sum(g.tokens for g in groups[replica::replicas]) for replica in range(replicas))


def trained_tokens(batches: Sequence[MiniBatch]) -> int:
    """Prompt and response tokens of the samples that the updates saw."""
    return sum(len(s.prompt_ids) + len(s.response_ids) for b in batches for s in b.samples)


def imbalance(shares: Sequence[int]) -> Mean:
    """The largest share over the mean one; 1 = evenly spread."""
    return Mean(max(shares), sum(shares) / len(shares))


def _correlation(sums: Mapping[str, float]) -> Mean:
    """Pearson's, of the trainer's and the sampler's probabilities of the trained tokens."""
    tokens = sums["tokens"]
    if not tokens or "prob_product" not in sums:
        return mean_of([])
    sampler, trainer = sums["sampler_prob"] / tokens, sums["trainer_prob"] / tokens
    variances = (
        sums["sampler_prob_squared"] / tokens - sampler**2,
        sums["trainer_prob_squared"] / tokens - trainer**2,
    )
    if min(variances) < NO_VARIANCE:
        return mean_of([])
    covariance = sums["prob_product"] / tokens - sampler * trainer
    return Mean(max(-1.0, min(1.0, covariance / math.sqrt(math.prod(variances)))))
