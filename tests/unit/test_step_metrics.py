"""The numbers of a step, each on values worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import exp, log, sqrt

import pytest

from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.reduce import Max, Mean, Min, as_row, max_of, merge, min_of
from rlavr_hpc.telemetry.response_metrics import ends_in_a_loop, group_metrics
from rlavr_hpc.telemetry.step_metrics import (
    Work,
    advantage_metrics,
    generated_tokens,
    rate_metrics,
    trained_tokens,
    update_metrics,
)
from rlavr_hpc.training_types import TrainingGroup
from rlavr_hpc.types import Group, Rollout, Vote
from tests.support.batches import mini_batches_of
from tests.support.groups import group, prompt, rollout
from tests.support.updates import update_of


def group_of(lengths: Sequence[int], clusters: Sequence[Sequence[int]], *, cut: int = -1) -> Group:
    """Responses of these lengths; `cut` is the one that the limit ended."""
    answers = ["1" if any(i in c for c in clusters) else None for i in range(len(lengths))]
    rollouts = [
        replace(rollout("", sample=i, tokens=n), truncated=i == cut) for i, n in enumerate(lengths)
    ]
    vote = Vote(answers=tuple(answers), clusters=tuple(tuple(c) for c in clusters))
    return Group(prompt=prompt(), rollouts=tuple(rollouts), vote=vote)


def test_extremes_merge_to_the_extreme_and_never_with_a_mean() -> None:
    parts = [
        {"high": max_of([-3.0, -1.0]), "low": min_of([2.0, 5.0])},
        {"high": max_of([]), "low": min_of([4.0])},
        {"high": max_of([-2.0]), "low": min_of([])},
    ]
    assert merge(parts) == {"high": Max(-1.0, 1.0), "low": Min(2.0, 1.0)}
    assert as_row({"high": max_of([]), "low": min_of([])}) == {}
    with pytest.raises(TypeError, match="Mean and Max of one metric"):
        merge([{"a": Mean(1.0)}, {"a": Max(2.0)}])


def test_lengths_are_told_apart_by_answer_and_by_ending() -> None:
    groups = [
        group_of([10, 20, 30, 99], [[0, 1], [2]], cut=3),
        group_of([1, 2, 3, 4, 5, 6], [[5]]),
    ]
    row = as_row(group_metrics(groups, []))
    assert row[names.COLLAPSE_LENGTH_TOKENS] == (159 + 21) / 10
    assert row[names.COLLAPSE_LENGTH_P90_TOKENS] == 30
    assert row[names.COLLAPSE_LENGTH_MAX_TOKENS] == 99
    assert row[names.COLLAPSE_LENGTH_STOPPED_TOKENS] == (60 + 21) / 9
    assert row[names.COLLAPSE_LENGTH_VOTE_TOKENS] == (10 + 20 + 6) / 3
    assert row[names.COLLAPSE_LENGTH_OTHERS_TOKENS] == 30
    assert row[names.COLLAPSE_TRUNCATED] == 0.1


def test_without_answers_no_length_is_the_votes() -> None:
    row = as_row(group_metrics([group_of([5, 5], [], cut=0)], []))
    assert names.COLLAPSE_LENGTH_VOTE_TOKENS not in row
    assert names.COLLAPSE_LENGTH_OTHERS_TOKENS not in row


def said(ids: Sequence[int], *, truncated: bool = True) -> Rollout:
    return replace(rollout(""), token_ids=tuple(ids), truncated=truncated)


@pytest.mark.parametrize(
    ("response", "loops"),
    [
        (said([9] * 32), True),
        (said([9] * 31), False),
        (said([1, 2, 3, *[7, 8, 9] * 11]), True),
        (said([*[7, 8, 9] * 11, 7]), True),
        (said([*[7, 8, 9] * 10, 7]), False),
        (said([*[5] * 40, *range(100, 120)]), False),
        (said(list(range(20)) * 4), True),
        (said(list(range(20)) * 3 + list(range(19))), False),
        (said([*[9] * 32, 0], truncated=False), True),
        (said([*[9] * 32, 0]), False),
        (said([9] * 32, truncated=False), False),
        (said(range(400)), False),
        (said([*range(100, 140), 9, 9, 9, 9]), False),
    ],
)
def test_a_loop_is_a_piece_said_four_times_and_over_32_tokens(
    response: Rollout, loops: bool
) -> None:
    assert ends_in_a_loop(response) is loops


def test_the_repeating_share_is_over_all_responses() -> None:
    looping = replace(group(["1", "2"]), rollouts=(said([9] * 40), said(range(40))))
    row = as_row(group_metrics([looping, group(["1", "2"], name="q")], []))
    assert row[names.COLLAPSE_REPETITION] == 0.25


def signals() -> list[TrainingGroup]:
    return [
        TrainingGroup(
            group=group(["1", "2", "3", "4"], name="a"),
            rewards=(1.0, 0.0, 0.0, 0.0),
            weight=1.0,
            bought=True,
        ),
        TrainingGroup(
            group=group(["1", "1", "3", "4"], name="b"),
            rewards=(1.0, 1.0, 0.0, 0.0),
            weight=0.5,
            bought=False,
        ),
        TrainingGroup(
            group=group(["1"] * 4, name="c"), rewards=(1.0,) * 4, weight=0.25, bought=False
        ),
    ]


def test_rewards_are_spread_inside_groups_and_votes_have_a_weight() -> None:
    row = as_row(group_metrics([s.group for s in signals()], signals()))
    assert row[names.COLLAPSE_REWARD_STD] == pytest.approx((sqrt(3) / 4 + 0.5 + 0.0) / 3)
    assert row[names.COLLAPSE_ZERO_ADVANTAGE] == pytest.approx(1 / 3)
    assert row[names.TRAIN_VOTE_WEIGHT] == 0.375  # the bought group has no vote to believe
    assert row[names.COLLAPSE_PSEUDO_REWARD] == 0.75


def test_advantages_are_over_all_responses_also_those_left_out_of_the_batch() -> None:
    batches = mini_batches_of(signals(), mini_batch=3)
    row = as_row(advantage_metrics(batches, responses=12))
    assert row[names.TRAIN_NONZERO_ADVANTAGE] == pytest.approx(8 / 12)
    # group a has squares that add up to 4, group b 4 times 1/4
    assert row[names.TRAIN_ADVANTAGE_STD] == pytest.approx(sqrt((4 + 1) / 12))
    assert row[names.TRAIN_ADVANTAGE_MAX] == pytest.approx(sqrt(3))
    assert row[names.TRAIN_ADVANTAGE_MIN] == pytest.approx(-1 / sqrt(3))


def test_where_nothing_moves_every_advantage_is_zero() -> None:
    batches = mini_batches_of(signals()[2:], mini_batch=1)
    row = as_row(advantage_metrics(batches, responses=4))
    assert [row[name] for name in (names.TRAIN_NONZERO_ADVANTAGE, names.TRAIN_ADVANTAGE_STD)] == [
        0.0,
        0.0,
    ]
    assert [row[n] for n in (names.TRAIN_ADVANTAGE_MAX, names.TRAIN_ADVANTAGE_MIN)] == [0.0, 0.0]


def test_the_samplers_probabilities_correlate_with_the_trainers_as_pearson_says() -> None:
    # of 0.2 0.4 0.6 and 0.2 0.6 0.4: covariance 0.04/3, variances 0.08/3; the last is padding
    update = update_of([0.2, 0.4, 0.6, 0.9], [0.2, 0.6, 0.4, 0.1], [1.0, 1.0, 1.0, 0.0])
    row = as_row(update_metrics(update))
    assert row[names.TRAIN_SAMPLER_CORRELATION] == pytest.approx(0.5, abs=1e-6)
    assert row[names.TRAIN_SAMPLER_GAP_MAX] == pytest.approx(log(1.5))
    assert row[names.TRAIN_RATIO_MAX] == pytest.approx(2.0)
    assert row[names.TRAIN_LR] == 3e-4
    assert row[names.PERF_TRAIN_IMBALANCE] == 1.5
    same = as_row(update_metrics(update_of([0.5, 0.5], [0.2, 0.6], [1.0, 1.0])))
    assert names.TRAIN_SAMPLER_CORRELATION not in same, "nothing correlates with a constant"


def test_the_largest_gap_of_a_step_is_that_of_its_worst_update() -> None:
    worst, best = (update_of([p, 0.4], [0.8, 0.4], [1.0, 1.0]) for p in (0.1, 0.7))
    row = as_row(merge(map(update_metrics, (worst, best))))
    assert row[names.TRAIN_SAMPLER_GAP_MAX] == pytest.approx(log(8))
    assert exp(row[names.TRAIN_SAMPLER_GAP_MAX]) == pytest.approx(8.0)


def test_rates_divide_the_work_by_the_time_it_took() -> None:
    groups = [group_of([n], [[0]]) for n in (10, 20, 30, 40, 50)]
    batches = mini_batches_of(signals(), mini_batch=3)
    generated = generated_tokens(groups, replicas=2)
    assert generated == (90, 60)
    assert trained_tokens(batches) == 8 * (2 + 3)
    timed = {
        names.TIME_STEP: Mean(10.0),
        names.time_name("generate"): Mean(4.0),
        names.time_name("train"): Mean(2.0),
    }
    work = Work(generated=generated, responses=5, trained=40, ranks=3)
    assert as_row(rate_metrics(work, timed)) == {
        names.PERF_TOKENS_PER_SECOND: 15.0,
        names.PERF_TOKENS_PER_SECOND_PER_RANK: 5.0,
        names.PERF_RESPONSES_PER_SECOND: 0.5,
        names.PERF_GENERATE_TOKENS_PER_SECOND: 37.5,
        names.PERF_TRAIN_TOKENS_PER_SECOND: 20.0,
        names.PERF_GENERATE_IMBALANCE: 1.2,
    }
