"""Signs that a policy breaks: what raises the risk, and what chance must not."""

from __future__ import annotations

import numpy as np
import pytest

from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.collapse.breakage import BreakageWatch
from rlavr_hpc.telemetry.collapse.early_warning import EarlyWarning

SOUND = {
    names.COLLAPSE_MAJORITY_RATIO: 0.45,
    names.COLLAPSE_ANSWER_ENTROPY: 1.2,
    names.COLLAPSE_DISTINCT_ANSWERS: 4.0,
    names.COLLAPSE_UNPARSABLE: 0.02,
    names.COLLAPSE_TRUNCATED: 0.01,
    names.TRAIN_GRAD_NORM: 1.0,
}


def risks(metric: str, values: list[float]) -> list[tuple[float, str]]:
    watch = BreakageWatch()
    seen = (watch.observe({**SOUND, metric: value}) for value in values)
    return [(breakage.risk, breakage.reason) for breakage in seen]


@pytest.mark.parametrize(
    ("metric", "before", "after", "words"),
    [
        (names.COLLAPSE_UNPARSABLE, 0.02, 0.9, "responses without an answer 2% -> 90%"),
        (names.COLLAPSE_TRUNCATED, 0.1, 0.99, "responses cut off at their limit 10% -> 99%"),
        (names.COLLAPSE_MAJORITY_RATIO, 0.45, 0.1, "answers that agree with their vote 45% -> 10%"),
        (names.TRAIN_GRAD_NORM, 1.0, 200.0, "gradients are 200 times"),
    ],
)
def test_each_sign_raises_the_risk_within_ten_steps_and_says_why(
    metric: str, before: float, after: float, words: str
) -> None:
    told = risks(metric, [before] * 60 + [after] * 10)
    assert max(risk for risk, _ in told[:60]) == 0.0
    risk, reason = told[-1]
    assert risk == 1.0
    assert words in reason


def test_a_policy_that_breaks_in_its_second_step_is_seen() -> None:
    told = risks(names.COLLAPSE_UNPARSABLE, [0.02, 0.3] + [1.0] * 20)
    assert told[-1][0] > 0.5


@pytest.mark.parametrize("prompts", [4, 64])
def test_a_model_that_does_not_change_is_no_breakage(prompts: int) -> None:
    rng = np.random.default_rng(prompts)
    worst = []
    for _ in range(40):
        watch = BreakageWatch()
        ratios = rng.beta(2.0, 2.5, size=(150, prompts)).mean(axis=1)
        shares = rng.binomial(8 * prompts, 0.1, size=150) / (8 * prompts)
        rows = [
            {**SOUND, names.COLLAPSE_MAJORITY_RATIO: ratio, names.COLLAPSE_UNPARSABLE: share}
            for ratio, share in zip(ratios.tolist(), shares.tolist(), strict=True)
        ]
        worst.append(max(watch.observe(row).risk for row in rows))
    assert sum(risk >= 0.5 for risk in worst) <= 1


def test_the_early_warning_takes_the_clearest_sign_and_its_reason() -> None:
    watch = EarlyWarning()
    watch.replay([SOUND] * 30)
    assert watch.alarm.risk == 0.0
    watch.replay([{**SOUND, names.COLLAPSE_TRUNCATED: 1.0}] * 10)
    assert watch.alarm.risk == 1.0
    assert "cut off at their limit" in watch.alarm.reason
