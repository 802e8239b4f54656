"""Advantages, length penalties, what is left out of an update, and what a larger draw is for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from rlavr_hpc.config.algorithm import Advantage, AlgorithmConfig, LeaveOut, OverlongConfig
from rlavr_hpc.learning.advantages import compute_advantages, group_advantages
from rlavr_hpc.learning.dynamic_sampling import filter_informative_groups, is_informative
from rlavr_hpc.learning.reward_shaping import Shaping
from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.reduce import as_row
from rlavr_hpc.telemetry.response_metrics import group_metrics
from rlavr_hpc.telemetry.step_metrics import advantage_metrics
from rlavr_hpc.trainer.policy.collate import MicroBatches
from rlavr_hpc.training_types import TrainingGroup
from rlavr_hpc.types import Group
from tests.support.batches import mini_batches_of
from tests.support.groups import group, rollout


def test_advantages_without_a_division_by_the_spread() -> None:
    one_right = [1.0, 0.0, 0.0, 0.0]
    assert group_advantages(one_right, Advantage.centred) == (0.75, -0.25, -0.25, -0.25)
    # the others of the first earn 0 on average, those of the rest a third
    assert group_advantages(one_right, Advantage.leave_one_out) == pytest.approx(
        (1.0, -1 / 3, -1 / 3, -1 / 3)
    )
    assert group_advantages([3.0, -0.5], Advantage.leave_one_out) == pytest.approx((3.5, -3.5))


@pytest.mark.parametrize("kind", Advantage)
def test_where_all_earn_the_same_nobody_has_an_advantage(kind: Advantage) -> None:
    assert group_advantages([0.1 + 0.2, 0.3], kind) == (0.0, 0.0)


def test_a_penalty_grows_through_the_buffer_and_nowhere_else() -> None:
    shaping = Shaping(overlong=OverlongConfig(buffer=0.4, penalty=2.0), max_tokens=10)
    penalties = [shaping.penalty(rollout("", tokens=n)) for n in (1, 6, 7, 8, 10)]
    assert penalties == pytest.approx([0.0, 0.0, 0.5, 1.0, 2.0])
    assert Shaping(max_tokens=10).penalty(rollout("", tokens=10)) == 0.0


def signal(
    rewards: Sequence[float],
    *,
    name: str = "a",
    lengths: Sequence[int] | None = None,
    cut: Sequence[int] = (),
    bought: bool = True,
) -> TrainingGroup:
    """Of responses that are three tokens long; the limit ended those in `cut`."""
    sizes = lengths or [3] * len(rewards)
    plain = group(["1"] * len(rewards), name=name)
    rollouts = tuple(
        replace(r, token_ids=(7,) * n, logprobs=(-1.0,) * n, truncated=i in cut)
        for i, (r, n) in enumerate(zip(plain.rollouts, sizes, strict=True))
    )
    return TrainingGroup(
        group=replace(plain, rollouts=rollouts), rewards=tuple(rewards), weight=1.0, bought=bought
    )


def test_a_length_penalty_is_in_the_advantages_and_not_in_the_recorded_rewards() -> None:
    shaping = Shaping(
        advantage=Advantage.centred, overlong=OverlongConfig(buffer=0.5), max_tokens=8
    )
    long = signal([1.0, 1.0], lengths=[4, 6])
    half = replace(long, weight=0.5)
    [whole_weight, half_weight] = compute_advantages([long, half], shaping)
    assert whole_weight == pytest.approx((0.25, -0.25))
    assert half_weight == pytest.approx((0.125, -0.125))
    assert as_row(group_metrics([long.group], [long]))[names.COLLAPSE_TRAINED_REWARD] == 1.0


FLAT = {
    "all right": signal([1.0, 1.0], name="b"),
    "unanimous": signal([1.0, 1.0], name="c", bought=False),
    "all wrong": signal([0.0, 0.0], name="d"),
    "all wrong, graded": signal([-0.5, -0.5], name="e"),
}


@pytest.mark.parametrize(
    ("leave_out", "passed_over"),
    [
        ("none", []),
        ("all_right", ["all right", "unanimous"]),
        ("all_wrong", ["all wrong", "all wrong, graded"]),
        ("flat", list(FLAT)),
    ],
)
def test_unanimous_prompts_are_told_from_those_that_are_all_wrong(
    leave_out: str, passed_over: list[str]
) -> None:
    shaping = Shaping(leave_out=LeaveOut(leave_out))
    assert [name for name, flat in FLAT.items() if shaping.leaves_out(flat)] == passed_over
    signals = [signal([1.0, 0.0]), *FLAT.values()]
    assert not shaping.leaves_out(signals[0])
    [batch] = mini_batches_of(signals, mini_batch=5, shaping=shaping)
    assert len(batch.samples) == 2
    counted = 10 - 2 * len(passed_over)
    assert (batch.responses, batch.response_tokens) == (counted, 3 * counted)
    row = as_row(advantage_metrics([batch], responses=10))
    assert row.get(names.TRAIN_LEFT_OUT) == pytest.approx(len(passed_over) / 5)


def test_the_record_tells_both_kinds_whatever_is_left_out() -> None:
    signals = [signal([1.0, 0.0]), *FLAT.values()]
    row = as_row(group_metrics([s.group for s in signals], signals))
    assert (row[names.TRAIN_ALL_RIGHT], row[names.TRAIN_ALL_WRONG]) == (0.4, 0.4)
    assert row[names.COLLAPSE_ZERO_ADVANTAGE] == 0.8


def test_a_prompt_is_passed_over_by_its_rewards_before_the_length_penalty() -> None:
    long = signal([1.0, 1.0], lengths=[4, 8])
    overlong = OverlongConfig(buffer=0.5)
    [plain] = mini_batches_of(
        [long], mini_batch=1, shaping=Shaping(overlong=overlong, max_tokens=8)
    )
    assert [s.advantage for s in plain.samples] == pytest.approx([1.0, -1.0])
    [left] = mini_batches_of(
        [long],
        mini_batch=1,
        shaping=Shaping(overlong=overlong, max_tokens=8, leave_out=LeaveOut.flat),
    )
    assert [(s.advantage, s.counted) for s in left.samples] == [(0.0, False)]


@pytest.mark.parametrize("keep_all", [True, False])
def test_masked_responses_leave_the_update_but_stay_in_their_groups_mean(keep_all: bool) -> None:
    cut = signal([1.0, 0.0, 0.0, 0.0], lengths=[2, 3, 8, 8], cut=[2, 3])
    shaping = Shaping(advantage=Advantage.centred, overlong=OverlongConfig(mask=True))
    [batch] = mini_batches_of([cut], mini_batch=1, keep_all=keep_all, shaping=shaping)
    assert [s.advantage for s in batch.samples] == [0.75, -0.25]
    assert (batch.responses, batch.response_tokens) == (2, 5)
    [whole] = mini_batches_of([cut], mini_batch=1)
    assert (len(whole.samples), whole.responses, whole.response_tokens) == (4, 4, 21)


@pytest.mark.parametrize("keep_all", [True, False])
def test_an_update_of_which_nothing_is_left_has_a_response_that_counts_nowhere(
    keep_all: bool,
) -> None:
    shaping = Shaping(leave_out=LeaveOut.flat)
    [batch] = mini_batches_of([FLAT["all wrong"]], mini_batch=1, keep_all=keep_all, shaping=shaping)
    assert [(s.advantage, s.counted) for s in batch.samples] == [(0.0, False)]
    assert (batch.responses, batch.response_tokens) == (0, 0)
    micro = MicroBatches(
        algorithm=AlgorithmConfig(), ranks=2, packed=False, pad_id=0, device=torch.device("cpu")
    )
    for share in micro.split(batch.samples):
        assert micro.loss_mask(share[0]).tolist() == [0.0] * 3
        assert micro.tokens(share[0], None, reference=None).lengths_N.tolist() == [3]


def groups(*answers: Sequence[str | None]) -> list[Group]:
    return [group(a, name=f"p{i}") for i, a in enumerate(answers)]


SPLIT, AGREED, SILENT = ("1", "2"), ("1", "1"), (None, None)


def test_a_vote_is_split_where_some_agree_with_it_and_some_do_not() -> None:
    drawn = groups(SPLIT, AGREED, SILENT, ("1", None))
    assert [is_informative(g) for g in drawn] == [True, False, False, True]


@pytest.mark.parametrize(
    ("batch", "kept"),
    [(1, ["p1"]), (2, ["p1", "p4"]), (3, ["p0", "p1", "p4"]), (4, ["p0", "p1", "p2", "p4"])],
)
def test_a_step_goes_on_with_split_votes_in_order_and_fills_up_with_the_first_others(
    batch: int, kept: list[str]
) -> None:
    drawn = groups(AGREED, SPLIT, SILENT, AGREED, SPLIT)
    assert [g.prompt.id for g in filter_informative_groups(drawn, batch=batch)] == kept


def test_without_a_larger_draw_all_prompts_stay_as_they_are() -> None:
    drawn = groups(AGREED, SPLIT, SILENT)
    assert filter_informative_groups(drawn, batch=3) == drawn
