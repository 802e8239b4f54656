"""Conditions, intervals, tests: what is said of a difference, worked out by hand."""

from __future__ import annotations

import pytest

from analysis.compare.contrasts import compare
from analysis.compare.resampling import holm, interval, paired, unpaired
from analysis.study_findings import Comparison, Contrast
from tests.support.analysis_findings import make_findings, seeds

HIGH = (0.70, 0.72, 0.74, 0.71, 0.73)
LOW = (0.50, 0.53, 0.55, 0.50, 0.52)


def contrast(found: Comparison, better: str, worse: str) -> Contrast:
    (one,) = [c for c in found.contrasts if (c.better, c.worse) == (better, worse)]
    return one


def test_the_interval_of_one_value_or_of_equal_ones_is_a_point() -> None:
    assert (interval([0.3]).low, interval([0.3]).high, interval([0.3]).count) == (0.3, 0.3, 1)
    assert (interval([0.1 + 0.2, 0.3]).low, interval([5, 5, 5]).high) == pytest.approx((0.3, 5.0))


def test_the_interval_of_two_or_three_values_is_their_range() -> None:
    two, three = interval([0.2, 0.4]), interval([0.1, 0.2, 0.6])
    assert (two.mean, two.low, two.high) == pytest.approx((0.3, 0.2, 0.4))
    assert (three.mean, three.low, three.high) == pytest.approx((0.3, 0.1, 0.6))


def test_the_interval_of_five_values_is_wider_than_the_plain_percentile_interval() -> None:
    found = interval([0, 0, 0, 0, 1])
    # the mean of 5 draws is k/5 with k binomial(5, 1/5); P(k >= 4) = 0.0067 and P(k = 5) = 0.0003
    # bound the expanded tail of norm.cdf(-2.776 * sqrt(5/4)) = 0.00095, the plain one is 0.025
    assert (found.low, found.high) == pytest.approx((0.0, 0.8))


def test_the_same_values_give_the_same_interval() -> None:
    assert interval([0.1, 0.3, 0.2, 0.9]) == interval([0.1, 0.3, 0.2, 0.9])


def test_five_pairs_that_agree_have_the_smallest_possible_p() -> None:
    tested = paired(HIGH, LOW)
    assert tested.difference.mean == pytest.approx(0.2)
    assert (tested.p_value, tested.p_smallest) == (2 / 32, 2 / 32)
    assert tested.agreeing == 5
    # differences 0.20 0.19 0.19 0.21 0.21: sd 0.01, t = 0.2 / (0.01 / sqrt 5) = 44.7
    assert tested.p_t == pytest.approx(1.5e-6, rel=0.05)


def test_the_sign_flip_test_counts_the_flips_that_are_as_extreme() -> None:
    # +3 -1 +1: sums of sign flips are 5 3 3 1 -1 -3 -3 -5; three of eight reach 3
    tested = paired([3, 0, 1], [0, 1, 0])
    assert tested.p_value == pytest.approx(2 * 3 / 8)
    assert tested.agreeing == 2


def test_one_pair_says_nothing_of_chance() -> None:
    tested = paired([0.7], [0.5])
    assert (tested.p_value, tested.p_smallest, tested.p_t) == (None, None, None)
    assert (tested.difference.low, tested.difference.count) == pytest.approx((0.2, 1))


def test_differences_without_any_spread_give_the_t_test_nothing_to_go_by() -> None:
    tested = paired([0.3, 0.4, 0.6], [0.1, 0.2, 0.4])
    assert tested.p_t is None
    assert tested.p_value == pytest.approx(2 / 8)


def test_unpaired_runs_are_divided_in_all_ways() -> None:
    tested = unpaired([4, 5, 6], [1, 2, 3])
    assert tested.difference.mean == 3.0
    assert (tested.p_value, tested.p_smallest) == pytest.approx((0.1, 0.1))
    # t = 3 / sqrt(1/3 + 1/3) = 3.674 with 4 degrees of freedom
    assert tested.p_t == pytest.approx(0.0213, abs=1e-4)
    assert unpaired([1, 2], [3]).p_value is None


def test_holms_correction_by_hand() -> None:
    assert holm([0.01, None, 0.04, 0.03]) == [
        pytest.approx(0.03),
        None,
        pytest.approx(0.06),
        pytest.approx(0.06),
    ]
    assert holm([0.7, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


def test_conditions_are_summed_over_seeds_and_sorted_best_first() -> None:
    runs = [*seeds("none", 0.1, 0.2, labels=0, collapsed=True), *seeds("care", 0.5, 0.7, labels=60)]
    care, none = compare(runs).conditions
    assert (care.name, none.name) == ("care", "none")
    assert care.accuracy is not None
    assert care.labels is not None
    assert (care.accuracy.mean, care.labels.mean) == pytest.approx((0.6, 60.0))
    assert (care.collapsed, none.collapsed, none.judged) == (0, 2, 2)
    assert care.seeds == (1, 2)


def test_unfinished_runs_and_those_without_accuracy_are_counted_and_left_out() -> None:
    runs = [
        make_findings("care", 0.6),
        make_findings("care", 0.1, seed=2, state="running", steps=50),
        make_findings("care", None, seed=3),
        make_findings("care", None, seed=4, state="planned", steps=0),
    ]
    found = compare(runs)
    (condition,) = found.conditions
    assert (len(condition.runs), condition.finished) == (4, 2)
    assert condition.accuracy is not None
    assert (condition.accuracy.mean, condition.accuracy.count) == (0.6, 1)
    said = " ".join(found.cautions)
    assert "2 of 4 runs are not finished (1 planned, 1 running)" in said
    assert "1 run finished without a held-out accuracy" in said


def test_a_run_that_reached_its_steps_is_finished_whatever_its_state() -> None:
    assert make_findings("care", 0.6, state="failed").finished
    assert make_findings("care", 0.6, state="done", steps=100).finished
    assert not make_findings("care", 0.6, state="stopped", steps=149).finished
    assert not make_findings("care", 0.6, state="running", steps_planned=None).finished


def test_a_seed_that_was_run_twice_counts_once() -> None:
    runs = [*seeds("care", 0.5, 0.7), make_findings("care", 0.9, seed=2, name="again")]
    found = compare(runs)
    assert found.conditions[0].accuracy is not None
    assert found.conditions[0].accuracy.mean == pytest.approx((0.5 + 0.8) / 2)
    assert found.conditions[0].accuracy.count == 2
    assert "same seed and settings (care)" in " ".join(found.cautions)


def test_the_frontier_is_what_no_other_condition_reaches_with_as_few_labels() -> None:
    runs = [
        *seeds("oracle", 0.99, labels=10, uses_oracle=True),
        *seeds("full", 0.8, labels=900),
        *seeds("care", 0.7, labels=100),
        *seeds("random", 0.6, labels=100),
        *seeds("entropy", 0.65, labels=200),
        *seeds("none", 0.1, labels=2),
        *seeds("unmeasured", None, labels=1),
    ]
    on = {condition.name for condition in compare(runs).conditions if condition.on_frontier}
    assert on == {"full", "care", "none"}


def test_five_agreeing_seeds_can_be_sure_and_two_never() -> None:
    found = compare([*seeds("care", *HIGH), *seeds("random", *LOW)])
    sure = contrast(found, "care", "random")
    assert sure.paired
    assert sure.significant
    assert sure.p_value == sure.p_smallest == 0.0625
    assert "cannot be below 0.0625" in " ".join(found.cautions)
    few = compare([*seeds("care", 0.70, 0.71), *seeds("random", 0.5, 0.511)])
    assert contrast(few, "care", "random").p_adjusted == pytest.approx(0.00159, abs=1e-5)
    assert not contrast(few, "care", "random").significant


def test_a_t_test_alone_does_not_make_sure_where_a_seed_disagrees() -> None:
    # differences 0.22 0.23 0.24 0.25 -0.01: t = 0.186 / (0.110 / sqrt 5) = 3.78
    high, low = (0.72, 0.73, 0.74, 0.75, 0.50), (0.50, 0.50, 0.50, 0.50, 0.51)
    one = contrast(compare([*seeds("care", *high), *seeds("random", *low)]), "care", "random")
    assert one.agreeing == 4
    assert one.p_adjusted == pytest.approx(0.0194, abs=2e-4)
    assert one.p_value == pytest.approx(4 / 32)
    assert not one.significant


def test_p_is_corrected_for_all_contrasts_of_the_report() -> None:
    runs = [*seeds("care", *HIGH), *seeds("random", *LOW), *seeds("none", *HIGH[::-1])]
    found = compare(runs)
    assert len(found.contrasts) == 3
    pair = contrast(found, "care", "random")
    assert pair.p_t is not None
    assert pair.p_adjusted == pytest.approx(3 * pair.p_t)


def test_seeds_that_are_not_common_are_compared_unpaired() -> None:
    runs = [
        *seeds("care", *HIGH),
        *(make_findings("random", x, seed=9 + i) for i, x in enumerate(LOW)),
    ]
    one = contrast(compare(runs), "care", "random")
    assert not one.paired
    assert one.p_value == pytest.approx(2 / 252)
    assert one.difference.mean == pytest.approx(0.2)


def test_few_common_seeds_are_not_preferred_to_many_runs() -> None:
    other = [make_findings("random", x, seed=3 + i) for i, x in enumerate((0.5, 0.51, 0.52))]
    one = contrast(compare([*seeds("care", 0.7, 0.71, 0.72), *other]), "care", "random")
    assert not one.paired
    assert one.difference.count == 3


def test_the_better_condition_is_the_one_that_is_better_on_common_seeds() -> None:
    lucky = [*seeds("care", 0.5, 0.5, 0.5), make_findings("care", 0.99, seed=9)]
    one = contrast(compare([*lucky, *seeds("random", 0.6, 0.55, 0.58)]), "random", "care")
    assert one.difference.mean == pytest.approx((0.1 + 0.05 + 0.08) / 3)
    assert one.paired


def test_contrasts_are_with_the_best_the_next_best_and_within_a_budget() -> None:
    runs = [
        *seeds("a", 0.9, budget=0.1),
        *seeds("b", 0.8),
        *seeds("c", 0.7),
        *seeds("d", 0.6),
        *seeds("o", 0.95, uses_oracle=True),
    ]
    pairs = {(c.better, c.worse) for c in compare(runs).contrasts}
    assert pairs == {
        ("a", "b"),
        ("b", "c"),
        ("c", "d"),
        ("a", "c"),
        ("a", "d"),
        ("b", "d"),
        ("o", "a"),
    }


def test_policies_are_contrasted_within_a_budget_only_where_all_else_is_equal() -> None:
    runs = [
        *seeds("a", 0.9, budget=0.1),
        *seeds("b", 0.8),
        *seeds("c", 0.7, settings={"algorithm.lr": "0.1"}),
        *seeds("d", 0.6),
        *seeds("b again", 0.5),
        *seeds("e", 0.4, budget=0.05),
    ]
    found = compare(runs)
    pairs = {(c.better, c.worse) for c in found.contrasts}
    assert pairs == {
        ("a", "b"),
        ("b", "c"),
        ("c", "d"),
        ("d", "b again"),
        ("b again", "e"),
        ("a", "c"),
        ("a", "d"),
        ("a", "b again"),
        ("a", "e"),
        ("b", "d"),
    }
    assert "more than policy and budget (algorithm.lr)" in " ".join(found.cautions)


def test_a_large_study_has_sixty_contrasts_at_most() -> None:
    runs = [
        run
        for condition in range(40)
        for run in seeds(f"policy{condition}", condition / 40, condition / 40 + 0.01)
    ]
    assert len(compare(runs).contrasts) == 60


def test_conditions_on_other_tasks_are_not_contrasted() -> None:
    puzzles = {"data.kind": "knights"}
    runs = [
        *seeds("care", 0.5),
        *seeds("random", 0.4),
        *seeds("care p", 0.9, settings=puzzles),
        *seeds("random p", 0.8, settings=puzzles),
    ]
    found = compare(runs)
    pairs = {(c.better, c.worse) for c in found.contrasts}
    assert pairs == {("care", "random"), ("care p", "random p")}
    assert {condition.name for condition in found.conditions if condition.on_frontier} == {
        "care",
        "care p",
    }
    assert "2 different tasks" in found.cautions[0]


def test_nothing_to_compare_is_said_and_no_error() -> None:
    empty = compare([])
    assert (empty.conditions, empty.contrasts, empty.advice) == ((), (), ())
    assert empty.recommendation == "There are no runs to compare."
    assert compare([make_findings("care", 0.5)], target=0.6).target == 0.6
