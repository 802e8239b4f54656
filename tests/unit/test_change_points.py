"""Change points and signals, by hand; a watcher does not know the future."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.collapse.change_points import LEAST_NOISE, levels, noise, thinned
from analysis.collapse.signals import BY_NAME, GAP, SIGNALS, change_of, detection_step, strength
from rlavr_hpc.telemetry import names
from tests.support.analysis_runs import make_run

RATIO = BY_NAME[names.COLLAPSE_MAJORITY_RATIO]
LENGTH = BY_NAME[names.COLLAPSE_LENGTH_TOKENS]


def steps(count: int) -> np.ndarray:
    return np.arange(1.0, count + 1.0)


def test_noise_is_read_off_neighbouring_differences_by_hand() -> None:
    swinging = np.tile([0.0, 1.0], 10).astype("float64")
    assert noise(swinging) == pytest.approx(1.0 / 0.6745 / 2**0.5)
    climbing = np.linspace(0.0, 1e-4, 20, dtype="float64")
    assert noise(climbing) == LEAST_NOISE


def test_two_levels_are_found_where_they_change() -> None:
    found = levels(np.array([0.5] * 20 + [0.2] * 30), penalty=1.0, shortest=10)
    assert [(level.start, level.stop) for level in found] == [(0, 20), (20, 50)]
    assert [level.mean for level in found] == pytest.approx([0.5, 0.2])


def test_a_series_too_short_for_two_levels_is_one_and_none_is_none() -> None:
    (only,) = levels(np.array([1.0, 0.0, 0.5]), penalty=1.0, shortest=2)
    assert (only.start, only.stop, only.mean) == (0, 3, 0.5)
    assert levels(np.array([]), penalty=1.0, shortest=2) == []


def test_a_higher_penalty_leaves_fewer_levels() -> None:
    swing = 0.02 * (-1.0) ** np.arange(60)
    values = np.array([0.5] * 20 + [0.46] * 20 + [0.2] * 20) + swing
    counts = [len(levels(values, penalty=p, shortest=5)) for p in (0.5, 50.0)]
    assert counts[0] > counts[1]


def test_long_series_are_thinned_to_means_of_neighbours_by_hand() -> None:
    first, means, size = thinned(steps(5), np.array([1.0, 3.0, 5.0, 7.0, 9.0]), most=3)
    assert (first.tolist(), means.tolist(), size) == ([1.0, 3.0, 5.0], [2.0, 6.0, 9.0], 2)
    same = thinned(steps(3), np.array([1.0, 3.0, 5.0]), most=3)
    assert same[2] == 1


def test_a_watcher_is_told_when_the_sum_passes_the_limit_by_hand() -> None:
    # five steps of baseline; then each step is capped at 4 and lets 0.5 pass: 3.5, 7, 10.5 > 8
    jump = np.array([0.4] * 5 + [0.9] * 10)
    assert detection_step(RATIO, steps(15), jump) == 8
    # least noise 0.01 * sqrt(1.2) = 0.01095: 0.02 is 1.83, so 1.33 a step, the seventh passes 8
    creep = np.array([0.4] * 5 + [0.42] * 10)
    assert detection_step(RATIO, steps(15), creep) == 12


def test_a_watcher_takes_no_notice_of_the_good_side_or_of_two_outliers() -> None:
    assert detection_step(RATIO, steps(25), np.array([0.4] * 5 + [0.1] * 20)) is None
    outliers = np.array([0.4] * 8 + [0.9] * 2 + [0.4] * 20)
    assert detection_step(RATIO, steps(30), outliers) is None
    longer, shorter = np.array([4.0] * 5 + [9.0] * 10), np.array([9.0] * 5 + [4.0] * 10)
    assert (
        detection_step(LENGTH, steps(15), longer) == detection_step(LENGTH, steps(15), shorter) == 8
    )


def test_a_watcher_does_not_know_the_future() -> None:
    values = np.concatenate([np.full(30, 0.4), np.linspace(0.4, 0.9, 60)])
    values += 0.02 * (-1.0) ** np.arange(90)
    step = detection_step(RATIO, steps(90), values)
    assert step is not None
    assert step < 60
    wild = np.concatenate([values[:step], 9.0 * (-1.0) ** np.arange(90 - step)])
    assert detection_step(RATIO, steps(90), wild) == step
    assert detection_step(RATIO, steps(step - 1), values[: step - 1]) is None


def test_a_sign_tells_its_change_with_the_means_around_it() -> None:
    run = make_run(rows={RATIO.name: [0.4] * 30 + [0.8] * 20})
    change = change_of(RATIO, run, onset=None)
    assert change is not None
    assert change.step == 31
    assert [change.before, change.after] == pytest.approx([0.4, 0.8])
    assert change.text == "majority ratio 0.4 -> 0.8 from step 31"
    assert strength(change) == pytest.approx(0.5)


def test_of_two_changes_the_one_nearest_to_the_onset_is_told_unless_it_is_small() -> None:
    run = make_run(rows={RATIO.name: [0.4] * 30 + [0.6] * 30 + [0.9] * 30})
    picked = [change_of(RATIO, run, onset=onset) for onset in (28, 70, None)]
    assert [change.step for change in picked if change] == [31, 61, 61]
    small = make_run(rows={RATIO.name: [0.4] * 30 + [0.45] * 30 + [0.9] * 30})
    change = change_of(RATIO, small, onset=28)
    assert change is not None
    assert change.step == 61


def test_a_signal_that_stays_has_no_change_and_one_not_reported_no_sign() -> None:
    run = make_run(rows={RATIO.name: [0.4] * 40})
    change = change_of(RATIO, run, onset=None)
    assert change is not None
    assert (change.step, change.detected, change.after) == (None, None, None)
    assert "stayed at 0.4" in change.text
    assert change_of(LENGTH, run, onset=None) is None


def test_pseudo_minus_true_reward_is_known_to_the_audit_alone() -> None:
    rows = {
        names.COLLAPSE_PSEUDO_REWARD: [0.5] * 20 + [0.9] * 20,
        names.ORACLE_TRUE_REWARD: [0.4] * 20 + [0.1] * 20,
    }
    change = change_of(BY_NAME[GAP], make_run(rows=rows), onset=None)
    assert change is not None
    assert (change.step, change.detected) == (21, None)
    assert [change.before, change.after] == pytest.approx([0.1, 0.8])
    needs_truth = {signal.name for signal in SIGNALS if not signal.label_free}
    assert needs_truth == {GAP, names.ORACLE_VOTE_ACCURACY}
