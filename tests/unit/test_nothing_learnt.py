"""The analysis of a run whose steps taught nothing."""

from __future__ import annotations

from analysis.collapse.verdict import judge
from rlavr_hpc.telemetry import names
from tests.support.analysis_runs import make_run

UNREAD = {
    names.COLLAPSE_UNPARSABLE: [1.0] * 20,
    names.COLLAPSE_ZERO_ADVANTAGE: [1.0] * 20,
    names.ORACLE_TRUE_REWARD: [0.0] * 20,
}
CONFIG = {"grading.extract": "boxed", "rollout.max_response_tokens": 64}


def test_a_run_that_read_nothing_is_not_healthy_and_says_what_changes_it() -> None:
    recorded = {"lost_signal": {"endings": ["so\x1b[2J 4", 7]}}
    verdict = judge(make_run(rows=UNREAD, config=CONFIG, summary=recorded))
    assert verdict.collapsed is None
    assert verdict.nothing_learnt == "no response could be read in any of its 20 steps"
    assert "set grading.extract (now boxed)" in verdict.text
    assert verdict.text.endswith('Responses end like this: "so?[2J 4".')


def test_one_step_that_could_be_read_leaves_the_verdict_to_the_measure() -> None:
    rows = {**UNREAD, names.COLLAPSE_UNPARSABLE: [1.0] * 19 + [0.5]}
    rows[names.COLLAPSE_ZERO_ADVANTAGE] = [1.0] * 19 + [0.5]
    verdict = judge(make_run(rows=rows, summary={"lost_signal": "damaged"}))
    assert verdict.nothing_learnt == ""
    assert verdict.collapsed is False


def test_a_failed_run_of_few_steps_is_said_to_have_failed() -> None:
    rows = {names.COLLAPSE_UNPARSABLE: [0.5] * 3}
    failed = judge(make_run(rows=rows, state="failed", steps_planned=20))
    assert failed.text == "It failed after 3 steps of 20: 20 are needed to judge it."
    stopped = judge(make_run(rows=rows, state="stopped"))
    assert stopped.text == "It was stopped after 3 steps: 20 are needed to judge it."
    running = judge(make_run(rows=rows, state="running"))
    assert running.text == "Cannot be judged yet: 3 steps, 20 are needed."
