"""What labels brought: every figure worked out by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from analysis.compare.budget import (
    area_under,
    default_target,
    label_spending,
    labels_to,
    with_target,
)
from analysis.run_findings import Spending
from tests.support.analysis_findings import make_findings
from tests.support.analysis_runs import make_run

NAN = float("nan")
HELD_OUT = "eval/held_out/mean@8"


def purchases(*rows: tuple[int, int, int, float, bool]) -> pd.DataFrame:
    """(step, bought, void, cost, on_line) by decision."""
    frame = pd.DataFrame(rows, columns=["step", "bought", "void", "cost", "on_line"])
    return frame.assign(branch=0, wanted=frame["bought"] + frame["void"])


def test_accuracy_is_told_by_the_labels_bought_when_it_was_measured() -> None:
    run = make_run(
        rows={
            HELD_OUT: [0.4, NAN, 0.5, NAN, 0.9],
            "labels/total": [NAN, 10, 20, 30, 40],
        },
        first_step=0,
    )
    spending = label_spending(run, target=0.7)
    assert spending.curve == ((0.0, 0.4), (20.0, 0.5), (40.0, 0.9))
    assert (spending.accuracy_start, spending.accuracy_end) == (0.4, 0.9)
    # 20 labels at 0.45 and 20 at 0.7 on average
    assert spending.area == pytest.approx((0.45 + 0.7) / 2)
    # half of the way from 0.5 to 0.9
    assert spending.labels_to_target == pytest.approx(30.0)
    assert spending.labels == 40
    assert spending.cost == 40.0


def test_the_area_weighs_evaluations_by_the_labels_between_them() -> None:
    assert area_under(((0, 0.2), (30, 0.4), (40, 0.6))) == pytest.approx((30 * 0.3 + 10 * 0.5) / 40)
    assert area_under(((0, 0.2), (0, 0.4))) is None
    assert area_under(((0, 0.2),)) is None


def test_the_target_is_reached_only_where_the_accuracy_stays_there() -> None:
    rise_fall_rise = ((0.0, 0.4), (10.0, 0.8), (20.0, 0.5), (40.0, 0.7))
    assert labels_to(rise_fall_rise, 0.6) == pytest.approx(30.0)
    assert labels_to(rise_fall_rise, 0.75) is None
    assert labels_to(rise_fall_rise, 0.3) == 0.0
    assert labels_to(rise_fall_rise, 0.7) == 40.0
    assert labels_to((), 0.3) is None
    assert label_spending(make_run(rows={HELD_OUT: [0.4]}, first_step=0)).labels_to_target is None


def test_shares_of_labels_are_weighted_by_the_labels_of_each_step() -> None:
    run = make_run(
        rows={
            "labels/bought": [1, 3, 0],
            "labels/vote_right": [1.0, 0.0, NAN],
            "labels/none_correct": [0.0, 1.0, NAN],
            "oracle/selection_precision": [0.5, 0.9, 0.1],
        }
    )
    spending = label_spending(run)
    assert spending.vote_right == pytest.approx(0.25)
    assert spending.none_correct == pytest.approx(0.75)
    assert spending.oracle_recall == pytest.approx((0.5 + 3 * 0.9) / 4)


def test_a_run_that_buys_nothing_has_no_shares_no_area_and_no_value() -> None:
    zero = [0.0] * 12
    rows = {
        "labels/bought": zero,
        "labels/total": zero,
        HELD_OUT: zero,
        "oracle/selection_precision": zero,
    }
    run = make_run(rows=rows)
    spending = label_spending(run)
    assert (spending.labels, spending.cost, spending.labels_left_behind) == (0, 0.0, 0)
    assert [spending.vote_right, spending.none_correct, spending.oracle_recall] == [None] * 3
    assert (spending.area, spending.value) == (None, None)
    assert label_spending(make_run()) == Spending()


def test_labels_of_a_branch_that_was_rolled_back_are_paid_for_and_told_apart() -> None:
    ledger = purchases((1, 5, 0, 5.0, True), (2, 4, 1, 2.0, False), (2, 6, 2, 6.0, True))
    spending = label_spending(make_run(rows={"labels/total": [5, 9]}, purchases=ledger))
    assert spending.labels == 15
    assert spending.labels_left_behind == 4
    assert spending.labels_void == 3
    assert spending.cost == 13.0


def test_the_value_of_a_label_is_a_mean_over_ten_steps_of_what_was_bought() -> None:
    gap = [0.4, NAN] + [0.1] * 8 + [0.6] + [NAN] * 11
    bought = [11.0] + [1.0] * 9 + [2.0] + [0.0] * 11
    value = label_spending(make_run(rows={"labels/reward_gap": gap, "labels/bought": bought})).value
    assert value is not None
    assert value.steps == tuple(range(10, 21))  # steps 12 ... 21 hold none, 11 ... 20 still do
    assert value.values[0] == pytest.approx((11 * 0.4 + 8 * 0.1) / 19)
    assert value.values[1] == pytest.approx((8 * 0.1 + 2 * 0.6) / 10)
    assert value.values[-1] == pytest.approx(0.6)


def test_a_long_value_curve_is_thinned_and_keeps_both_ends() -> None:
    ones = [1.0] * 1000
    value = label_spending(make_run(rows={"labels/reward_gap": ones, "labels/bought": ones})).value
    assert value is not None
    assert (len(value.steps), value.steps[0], value.steps[-1]) == (200, 10, 1000)


def test_the_default_target_is_half_of_the_way_of_the_best_condition_without_oracle() -> None:
    runs = [
        make_findings("care", 0.72, start=0.40),
        make_findings("care", 0.60, start=0.44),
        make_findings("none", 0.10, start=0.42),
        make_findings("new", None),
        make_findings("oracle", 0.90, start=0.42, uses_oracle=True),
    ]
    # median start 0.42, best mean 0.66
    assert default_target(runs) == 0.54
    assert default_target(runs[2:3]) is None
    assert default_target([]) is None


def test_a_target_given_later_is_looked_up_in_every_curve() -> None:
    runs = [make_findings("care", 0.8), make_findings("none", 0.1), make_findings("new", None)]
    reached = [run.spending.labels_to_target for run in with_target(runs, 0.5)]
    assert reached == [pytest.approx(25.0), None, None]
    cleared = with_target(with_target(runs, 0.5), None)
    assert cleared == runs
