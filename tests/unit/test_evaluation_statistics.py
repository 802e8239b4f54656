from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from rlavr_hpc.evaluation.statistics import bootstrap, estimate, pass_at_k, pass_orders


def test_pass_at_k_is_told_for_powers_of_two_and_for_n() -> None:
    assert pass_orders(1) == [1]
    assert pass_orders(8) == [1, 2, 4, 8]
    assert pass_orders(6) == [1, 2, 4, 6]


def test_pass_at_k_by_hand() -> None:
    """Of 4 samples 1 is right: half of the pairs hold it; of 2 right ones, one pair holds none."""
    right_P = np.array([0, 1, 2, 3, 4])
    assert pass_at_k(right_P, samples=4, k=1) == pytest.approx([0, 1 / 4, 1 / 2, 3 / 4, 1])
    assert pass_at_k(right_P, samples=4, k=2) == pytest.approx([0, 1 / 2, 5 / 6, 1, 1])
    assert pass_at_k(right_P, samples=4, k=4) == pytest.approx([0, 1, 1, 1, 1])


@pytest.mark.parametrize("right", range(8))
def test_pass_at_k_is_the_share_of_k_subsets_that_hold_a_right_sample(right: int) -> None:
    samples = [i < right for i in range(7)]
    for k in range(1, 8):
        subsets = [any(subset) for subset in combinations(samples, k)]
        share = sum(subsets) / len(subsets)
        assert pass_at_k(np.array([right]), samples=7, k=k)[0] == pytest.approx(share)


def test_pass_at_k_stays_exact_for_many_samples() -> None:
    """1 of 4096 is right: 1024 drawn ones hold it with probability 1024 / 4096."""
    assert pass_at_k(np.array([1]), samples=4096, k=1024)[0] == pytest.approx(0.25, rel=1e-12)


def test_the_statistics_of_a_small_set_by_hand() -> None:
    correct_PN = np.array([[True, False], [False, False], [True, True]])
    found = estimate(correct_PN, np.array([True, False, False]))
    assert list(found) == ["mean@2", "pass@1", "pass@2", "maj@2"]
    values = [e.value for e in found.values()]
    assert values == pytest.approx([1 / 2, 1 / 2, 2 / 3, 1 / 3])
    assert all(e.low <= e.value <= e.high for e in found.values())


def test_a_set_that_is_all_right_has_an_interval_of_no_width() -> None:
    found = estimate(np.ones((30, 3), dtype=bool), np.ones(30, dtype=bool))
    assert {(e.value, e.low, e.high) for e in found.values()} == {(1.0, 1.0, 1.0)}
    alone = estimate(np.array([[True, False]]), np.array([True]))["mean@2"]
    assert (alone.value, alone.low, alone.high) == (0.5, 0.5, 0.5)


def test_the_interval_of_a_large_set_is_the_normal_one() -> None:
    """400 problems of 0 or 1, half of each: the mean's standard error is 0.5 / 20 = 0.025."""
    low, high = bootstrap(np.repeat([0.0, 1.0], 200)[:, None])
    assert low[0] == pytest.approx(0.5 - 1.96 * 0.025, abs=0.005)
    assert high[0] == pytest.approx(0.5 + 1.96 * 0.025, abs=0.005)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    """100 problems, each right with probability 0.3, 300 times over: 95% would be 285."""
    rng = np.random.default_rng(5)
    values_PS = (rng.random((100, 300)) < 0.3).astype(float)
    low_S, high_S = bootstrap(values_PS)
    assert 0.90 <= np.mean((low_S <= 0.3) & (high_S >= 0.3)) <= 0.985


def test_the_same_results_have_the_same_interval_in_blocks_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values_PS = np.random.default_rng(1).random((50, 2))
    whole = bootstrap(values_PS)
    monkeypatch.setattr("rlavr_hpc.evaluation.statistics.BLOCK", 50 * 7)
    for one, other in zip(whole, bootstrap(values_PS), strict=True):
        assert one == pytest.approx(other, abs=1e-12)
