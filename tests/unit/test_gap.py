"""The corrective advantage gap against its definition."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlavr_hpc.acquisition.cag import cag, true_cag
from rlavr_hpc.acquisition.policies.cag_oracle import CagOraclePolicy
from rlavr_hpc.learning.advantages import group_advantages
from rlavr_hpc.types import View
from tests.support.groups import PLACE, group


def by_definition(x: int, y: int, size: int) -> float:
    """The vote holds the first x rollouts, the truth the y after them."""
    pseudo = group_advantages([1.0] * x + [0.0] * (size - x))
    true = group_advantages([0.0] * x + [1.0] * y + [0.0] * (size - x - y))
    return math.dist(pseudo, true)


@pytest.mark.parametrize(
    ("x", "y", "gap"),
    [(3, 0, 2.8284), (3, 3, 5.0596), (5, 3, 5.6569), (1, 1, 4.2762), (8, 0, 0.0), (0, 0, 0.0)],
)
def test_the_papers_values(x: int, y: int, gap: float) -> None:
    assert cag(majority=x, correct_elsewhere=y, group_size=8) == pytest.approx(gap, abs=5e-5)


COUNTS = st.integers(2, 64).flatmap(
    lambda size: st.integers(0, size).flatmap(
        lambda x: st.tuples(st.just(x), st.integers(0, size - x), st.just(size))
    )
)


@given(counts=COUNTS)
def test_the_closed_form_is_the_definition(counts: tuple[int, int, int]) -> None:
    x, y, size = counts
    gap = cag(majority=x, correct_elsewhere=y, group_size=size)
    assert gap == pytest.approx(by_definition(x, y, size), abs=1e-9)


@pytest.mark.parametrize(("x", "y", "size"), [(5, 4, 8), (-1, 0, 8), (0, -1, 8), (0, 0, 0)])
def test_impossible_counts_are_refused(x: int, y: int, size: int) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        cag(majority=x, correct_elsewhere=y, group_size=size)


def test_the_true_gap_counts_correct_rollouts_outside_the_vote() -> None:
    voted = group(["1", "1", "2", "2.0", "3", None])
    wrong_vote = [False, False, True, True, False, False]
    assert true_cag(voted, wrong_vote) == pytest.approx(by_definition(2, 2, 6))
    assert true_cag(voted, [True, True, False, False, False, False]) == 0.0
    assert true_cag(voted, [False] * 6) == pytest.approx(math.sqrt(6))
    assert true_cag(voted, None) == true_cag(group([None, None]), [False, False]) == 0.0


def test_the_oracle_buys_the_largest_true_gaps() -> None:
    groups = [group(["1", "1", "2"], name=name) for name in "abc"]
    oracle = {"a": [True, True, False], "b": [False, False, True], "c": [False] * 3}
    choice = CagOraclePolicy().choose(groups, View(step_key=PLACE, quota=2, oracle=oracle))
    assert choice.selected == ("b", "c")
    assert choice.scores["a"] == 0.0
    blind = CagOraclePolicy().choose(groups, View(step_key=PLACE, quota=1))
    assert blind.selected == ("a",), "without labels all are worth nothing and the order decides"
