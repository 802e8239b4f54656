"""Has a run collapsed, or is it noise? By hand, and as often as chance would have it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.collapse.definition import EVALUATIONS, find_collapse
from rlavr_hpc.telemetry.collapse.verdict import (
    Fault,
    describe_fault,
    faults_of,
    has_collapsed,
)

Values = NDArray[np.float64]
STEPS, SAMPLES = 150, 8


def steady(*parts: tuple[int, float]) -> list[float]:
    return [level for count, level in parts for _ in range(count)]


@pytest.mark.parametrize(
    ("rewards", "onset"),
    [
        (steady((40, 0.5)), None),
        (steady((20, 0.5), (20, 0.0)), 21),
        (steady((20, 0.5), (20, 0.0), (20, 0.5)), None),
        (steady((60, 0.5), (30, 0.1), (30, 0.5)), None),
        (steady((40, 0.5), (40, 0.41)), None),
        (steady((40, 0.5), (40, 0.38)), 41),
        (steady((1, 0.5), (39, 0.1)), 2),
        (steady((10, 0.5), (9, 0.0)), None),
        ([], None),
        ([0.01 * i for i in range(60)], None),
    ],
)
def test_a_collapse_is_the_last_low_stretch(rewards: list[float], onset: int | None) -> None:
    found = find_collapse(rewards, [1e-6] * len(rewards))
    assert (found.onset if found else None) == onset


def test_the_same_fall_is_noise_with_few_prompts_and_a_collapse_with_many() -> None:
    rewards = steady((30, 0.5), (10, 0.38))
    assert find_collapse(rewards, [0.02] * 40) is None
    assert find_collapse(rewards, [0.0004] * 40) is not None


def test_without_variances_the_differences_of_neighbours_stand_in() -> None:
    rng = np.random.default_rng(1)
    low = np.repeat([0.5, 0.1], 75)
    found = find_collapse(list(low + rng.normal(0.0, 0.05, STEPS)))
    assert found is not None
    assert (found.onset, round(found.best, 1), round(found.last, 1)) == (76, 0.5, 0.1)
    assert find_collapse(list(0.4 + rng.normal(0.0, 0.2, STEPS))) is None


def called(batch: int, course: Callable[[Values], Values], *, known: bool, runs: int) -> float:
    """Share of simulated runs of 150 steps with 8 responses a prompt that are called collapsed.

    Prompts' difficulties are those of the testbed's untrained model, about Beta(1.1, 2.1).
    """
    rng = np.random.default_rng(batch)
    count = 0
    for _ in range(runs):
        level_T1 = course(np.arange(STEPS, dtype=np.float64))[:, None]
        right_TB: Values = rng.beta(1.1, 2.1, size=(STEPS, batch)) * level_T1
        means_TB = rng.binomial(SAMPLES, right_TB) / SAMPLES
        variances = means_TB.var(axis=1, ddof=1) / batch
        rewards = means_TB.mean(axis=1).tolist()
        count += find_collapse(rewards, variances.tolist() if known else None) is not None
    return count / runs


@pytest.mark.parametrize("batch", [4, 8, 64])
@pytest.mark.parametrize("known", [True, False])
def test_a_model_that_does_not_change_is_hardly_ever_called_collapsed(
    batch: int, known: bool
) -> None:
    assert called(batch, lambda t: np.ones_like(t, dtype=float), known=known, runs=300) <= 0.015


def test_a_halved_reward_is_found_in_its_last_ten_steps() -> None:
    halved = lambda t: np.where(t >= STEPS - 10, 0.5, 1.0)  # noqa: E731
    assert called(16, halved, known=True, runs=60) >= 0.95
    assert called(4, halved, known=True, runs=60) >= 0.5


def rows_of(**series: list[float]) -> list[dict[str, float]]:
    """Rows of steps 1, 2, ..., by metric."""
    length = len(next(iter(series.values())))
    return [
        {"step": i + 1, **{name: values[i] for name, values in series.items()}}
        for i in range(length)
    ]


def audited(rewards: list[float], **more: list[float]) -> list[dict[str, float]]:
    spread = [1e-4] * len(rewards)
    return rows_of(
        **{names.ORACLE_TRUE_REWARD: rewards, names.ORACLE_TRUE_REWARD_VARIANCE: spread, **more}
    )


def test_each_fault_is_named_with_its_step_and_the_gravest_first() -> None:
    rows = audited(
        steady((40, 0.47), (40, 0.1)), **{names.COLLAPSE_TRUNCATED: steady((50, 0.1), (30, 0.99))}
    )
    lost, ending = faults_of(rows, samples=8)
    assert (lost.fault, lost.since) == (Fault.collapsed, 41)
    assert describe_fault(lost) == "collapsed from step 41 on: true reward 0.470 -> 0.100"
    assert (ending.fault, ending.measured_by) == (Fault.stopped_ending, names.COLLAPSE_TRUNCATED)
    assert ending.since == 51
    assert "stopped ending its responses from step" in describe_fault(ending)


def test_a_fall_of_an_eighth_is_lost_accuracy_and_no_collapse() -> None:
    rows = audited(steady((40, 0.47), (40, 0.41)))
    (found,) = faults_of(rows, samples=8)
    assert (found.fault, found.since) == (Fault.lost_accuracy, 41)
    assert has_collapsed(rows, samples=8) is False
    assert faults_of(audited(steady((40, 0.47), (40, 0.45))), samples=8) == ()


def test_a_run_without_any_answer_graded_nothing_and_one_that_loses_them_says_since_when() -> None:
    (nothing,) = faults_of(rows_of(**{names.COLLAPSE_UNPARSABLE: [1.0] * 30}), samples=8)
    assert (nothing.fault, nothing.since) == (Fault.graded_nothing, None)
    equal = rows_of(
        **{names.COLLAPSE_ZERO_ADVANTAGE: [1.0] * 30, names.COLLAPSE_UNANIMOUS: [1.0] * 30}
    )
    assert [f.fault for f in faults_of(equal, samples=8)] == [Fault.learnt_nothing]
    silent = rows_of(**{names.COLLAPSE_UNPARSABLE: steady((20, 0.0), (20, 1.0))})
    (found,) = faults_of(silent, samples=8)
    assert found.fault is Fault.stopped_answering
    assert found.since == 21


def test_a_run_that_reads_one_response_in_hundreds_graded_nothing_either() -> None:
    def told(unread: list[float]) -> list[Fault]:
        found = faults_of(rows_of(**{names.COLLAPSE_UNPARSABLE: unread}), samples=8)
        return [one.fault for one in found]

    assert told(steady((10, 1.0), (1, 0.998), (19, 1.0))) == [Fault.graded_nothing]
    assert told([0.95] * 30) == []
    assert told([0.0] + [1.0] * 149) == [Fault.stopped_answering]


def evaluated(*accuracies: float, error: float | None = 0.02) -> list[dict[str, float]]:
    name, spread = names.eval_name("held_out", "mean", 8), names.eval_name("held_out", "stderr", 8)
    return [
        {"step": 10 * i, name: value, **({} if error is None else {spread: error})}
        for i, value in enumerate(accuracies)
    ]


def test_without_audit_held_out_accuracy_is_judged_by_its_standard_error() -> None:
    assert has_collapsed(evaluated(0.43, 0.45, 0.44, 0.10), samples=8) is True
    assert has_collapsed(evaluated(0.43, 0.45, 0.44, 0.34, error=0.05), samples=8) is False
    assert has_collapsed(evaluated(0.43, 0.45, 0.44, 0.34, error=None), samples=8) is True
    assert has_collapsed(evaluated(0.43), samples=8) is None
    assert has_collapsed([], samples=8) is None
    (found,) = faults_of(evaluated(0.43, 0.45, 0.44, 0.10), samples=8)
    assert (found.since, found.measured_by) == (30, names.eval_name("held_out", "mean", 8))


def test_few_steps_have_no_verdict_by_held_out_accuracy_either() -> None:
    few = [{**row, "step": row["step"] // 10} for row in evaluated(0.43, 0.45, 0.10)]
    assert has_collapsed(few, samples=8) is None
    assert faults_of(few, samples=8) == ()
    without = [{**row, "step": row["step"] // 10} for row in evaluated(0.43, 0.1, error=None)]
    assert has_collapsed(without, samples=8) is None


def test_few_steps_have_no_verdict() -> None:
    assert has_collapsed(audited(steady((10, 0.5), (9, 0.0))), samples=8) is None
    assert has_collapsed(audited(steady((10, 0.5), (10, 0.0))), samples=8) is True


def test_few_evaluations_are_compared_one_by_one() -> None:
    found = find_collapse([0.4, 0.5, 0.2], [1e-4] * 3, windows=EVALUATIONS)
    assert found is not None
    assert (found.onset, found.best) == (3, 0.5)
