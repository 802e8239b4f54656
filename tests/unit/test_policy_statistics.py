"""The intervals of the policy study, by hand and by what defines them."""

from __future__ import annotations

import math
from statistics import mean, stdev

import pytest

from benchmarks.policy_statistics import difference_of, mean_of, prediction_of, ratio_of

T_1, T_4 = 12.7062, 2.7764
"""97.5% quantiles of Student's t with 1 and 4 degrees of freedom."""


def test_the_interval_of_a_mean() -> None:
    found = mean_of([0.2, 0.4])
    assert found.value == pytest.approx(0.3)
    assert found.half_width == pytest.approx(T_1 * 0.1, rel=1e-4)  # sd / sqrt(2) = 0.1
    assert found.low == pytest.approx(0.3 - T_1 * 0.1, rel=1e-4)
    alone = mean_of([0.2])
    assert alone.value == 0.2
    assert math.isnan(alone.low)
    assert not alone.excludes_zero


def test_a_difference_is_taken_seed_by_seed() -> None:
    found = difference_of([0.9, 0.5, 0.2], [0.8, 0.4, 0.1])
    assert [found.value, found.low] == pytest.approx([0.1, 0.1])
    assert found.excludes_zero  # although the seeds themselves are far apart
    assert not difference_of([0.9, 0.1], [0.4, 0.4]).excludes_zero


def test_the_ends_of_a_ratios_interval_are_those_that_student_s_t_just_refuses() -> None:
    above, below = [0.60, 0.64, 0.55, 0.62, 0.66], [0.80, 0.79, 0.74, 0.81, 0.83]
    found = ratio_of(above, below)
    assert found is not None
    assert found.value == pytest.approx(mean(above) / mean(below))
    assert found.low < found.value < found.high
    for end in (found.low, found.high):
        rest = [a - end * b for a, b in zip(above, below, strict=True)]
        assert abs(mean(rest)) / (stdev(rest) / math.sqrt(5)) == pytest.approx(T_4, rel=1e-4)


def test_there_is_no_ratio_to_what_may_be_zero() -> None:
    assert ratio_of([0.1, 0.2, 0.1], [0.3, -0.2, 0.1]) is None
    assert ratio_of([0.1], [0.0]) is None
    alone = ratio_of([0.3], [0.6])
    assert alone is not None
    assert alone.value == pytest.approx(0.5)
    assert math.isnan(alone.high)


def test_where_the_mean_of_three_new_runs_is_expected_after_five() -> None:
    found = prediction_of([0.0, 1.0, 2.0, 3.0, 4.0], new=3)
    half_width = T_4 * math.sqrt(2.5) * math.sqrt(1 / 5 + 1 / 3)
    assert [found.value, found.half_width] == pytest.approx([2.0, half_width], rel=1e-4)
    surer = prediction_of([0.0, 1.0, 2.0, 3.0, 4.0], new=3, confidence=0.99)
    assert surer.half_width == pytest.approx(half_width * 4.6041 / T_4, rel=1e-4)
