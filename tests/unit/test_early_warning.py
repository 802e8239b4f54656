"""The early warning: what it sees, what it says, and that a resumed run hears the same."""

from __future__ import annotations

import pytest

from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.collapse.early_warning import WINDOW, EarlyWarning, Rate, agreement_rise
from tests.support.configs import composed


def row(
    ratio: float, entropy: float, distinct: float, *, right: float | None = None, bought: int = 8
) -> dict[str, float]:
    made = {
        names.COLLAPSE_MAJORITY_RATIO: ratio,
        names.COLLAPSE_ANSWER_ENTROPY: entropy,
        names.COLLAPSE_DISTINCT_ANSWERS: distinct,
    }
    if right is not None:
        made |= {names.LABELS_VOTE_RIGHT: right, names.LABELS_BOUGHT: float(bought)}
    return made


def agreeing(steps: int, *, right: list[float] | None = None) -> list[dict[str, float]]:
    """Votes that agree more with every step."""
    return [
        row(0.4 + 0.01 * i, 1.4 - 0.025 * i, 5.0 - 0.08 * i, right=right[i] if right else None)
        for i in range(steps)
    ]


def risks(rows: list[dict[str, float]]) -> list[float]:
    watch = EarlyWarning()
    return [watch.observe(r).risk for r in rows]


def test_agreement_rise_by_hand() -> None:
    start, end = (0.5, 1.0, 5.0), (0.75, 0.5, 2.0)
    history = [start] * 3 + [end] * 5
    assert agreement_rise(history) == pytest.approx((0.5 + 0.5 + 0.75) / 3)
    assert agreement_rise([end] * 3 + [start] * 5) == 0.0


def test_answers_that_vanish_do_not_agree_more() -> None:
    gone = (0.0, 0.0, 0.0)
    assert agreement_rise([(0.41, 1.2, 5.5)] * 8 + [gone] * 10) == 0.0
    watch = EarlyWarning()
    for r in [row(0.41, 1.2, 5.5)] * 8 + [row(*gone)] * 10:
        assert "agree more" not in watch.observe(r).reason


def test_agreement_without_labels_is_a_risk_and_with_labels_that_confirm_it_is_not() -> None:
    alone = risks(agreeing(40))
    assert alone[: WINDOW - 1] == [0.0] * (WINDOW - 1)
    assert alone[-1] > 0.9
    assert sorted(alone) == alone
    assert max(risks(agreeing(40, right=[0.5 + 0.01 * i for i in range(40)]))) == 0.0


def test_agreement_that_labels_contradict_is_a_risk_with_its_reason() -> None:
    watch = EarlyWarning()
    for r in agreeing(40, right=[0.6 - 0.012 * i for i in range(40)]):
        alarm = watch.observe(r)
    assert alarm.risk == 1.0
    assert "votes are right on" in alarm.reason
    assert "%" in alarm.reason


def test_a_loss_that_chance_explains_is_none() -> None:
    steady = [row(0.5, 1.0, 4.0, right=0.5, bought=2)] * 15
    worse = [row(0.5, 1.0, 4.0, right=0.4, bought=2)] * 12
    assert max(risks(steady + worse)) == 0.0  # 20 labels a window
    many = [row(0.5, 1.0, 4.0, right=0.5, bought=64)] * 15
    fewer = [row(0.5, 1.0, 4.0, right=0.4, bought=64)] * 12
    assert max(risks(many + fewer)) > 0.5  # 640 a window


def test_a_rate_is_shrunk_and_has_the_variance_of_a_share() -> None:
    rate = Rate(right=3.0, bought=8.0)
    assert rate.mean == pytest.approx(0.4)
    assert rate.variance == pytest.approx(0.4 * 0.6 / 10)


def test_a_resumed_run_hears_the_same() -> None:
    rows = agreeing(30)
    resumed = EarlyWarning()
    resumed.replay([{"eval/held_out/mean@8": 0.4}, *rows[:17]])
    rest = [resumed.observe(r).risk for r in rows[17:]]
    assert rest == risks(rows)[17:]


def test_the_quota_rises_with_the_risk_and_not_past_the_batch() -> None:
    config = composed(
        "warning.action=raise_budget", "warning.act_on=hint", "budget_total=500", "budget=0.2"
    )
    assert [config.quota_at(r) for r in (0.0, 0.49, 0.5, 1.0)] == [13, 13, 26, 26]
    wide = composed(
        "warning.action=raise_budget",
        "warning.act_on=hint",
        "budget_total=500",
        "budget=0.2",
        "warning.budget_factor=9",
    )
    assert wide.quota_at(1.0) == 64
    assert composed("budget=0.2").quota_at(1.0) == 13


def gapped(gap: float, *, bought: int, steps: int = 12) -> float:
    """Risk of a policy that learns to buy, at a steady pseudo minus true reward."""
    watch = EarlyWarning(selective=True)
    for _ in range(steps):
        watch.observe(
            {**row(0.5, 1.0, 4.0, right=0.3, bought=bought), names.LABELS_REWARD_GAP: gap}
        )
    return watch.alarm.risk


def test_where_a_policy_learns_to_buy_a_gap_counts_as_far_as_it_is_sure() -> None:
    # 100 labels a window: 0.42 - 1.28 * 0.35 / 10 = 0.375, over 0.6
    assert gapped(0.42, bought=10) == pytest.approx(0.3752 / 0.6, abs=1e-3)
    assert gapped(0.42, bought=2) < gapped(0.42, bought=10)
    assert gapped(0.10, bought=10) < 0.2


def test_agreement_is_confirmed_by_a_closed_gap_and_not_by_an_open_one() -> None:
    def after(gap: float) -> float:
        watch = EarlyWarning(selective=True)
        for r in agreeing(40, right=[0.3] * 40):
            watch.observe({**r, names.LABELS_REWARD_GAP: gap})
        return watch.alarm.risk

    assert after(0.1) < 0.2
    assert after(0.5) > 0.9
