"""A study of odd folders still has its report; what a page shows gives no label away."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analysis.examine import examine
from analysis.report.write import write_report
from analysis.text.terms import TITLES
from tests.support.analysis_runs import write_lines, write_run

ACCURACY = "eval/held_out/mean@8"


def example(step: int, *, labelled: bool) -> dict[str, object]:
    response = {
        "sample": 0,
        "text": "it is 7",
        "tokens": 3,
        "truncated": False,
        "answer": "7",
        "agrees": True,
        "reward": 1.0,
    }
    return {
        "v": 1,
        "step": step,
        "branch": 0,
        "attempt": 1,
        "prompt_id": f"p{step}{labelled}",
        "prompt": "bought" if labelled else "free",
        "vote": "7",
        "majority_ratio": 1.0,
        "labelled": labelled,
        "reused": False,
        "label": "7" if labelled else None,
        "weight": 1.0,
        "responses": [response],
    }


def test_examples_of_the_first_and_the_last_step_are_shown_without_bought_prompts(
    tmp_path: Path,
) -> None:
    run = write_run(tmp_path / "runs/a", [{"step": 1}])
    (run / "examples").mkdir()
    lines = [example(step, labelled=bought) for step in (1, 5, 9) for bought in (True, False)]
    write_lines(run / "examples/1.jsonl", lines)
    findings, _ = examine([tmp_path / "runs"])
    shown = [(e["step"], e["prompt"]) for e in findings.runs[0].examples]
    assert shown == [("1", "free"), ("9", "free")]


def test_a_run_with_audits_shows_how_near_its_alarm_is_and_one_without_does_not(
    tmp_path: Path,
) -> None:
    audited = {"collapse/alarm_evidence": 0.25, "labels/kept_right": 0.5}
    write_run(tmp_path / "runs/a", [{"step": 1, **audited}, {"step": 2, **audited}])
    write_run(tmp_path / "runs/b", [{"step": 1}])
    findings, _ = examine([tmp_path / "runs"])
    with_audits, without = (run.curves for run in sorted(findings.runs, key=lambda r: r.name))
    assert {name: with_audits[name].values for name in audited} == {
        name: (value, value) for name, value in audited.items()
    }
    assert not set(audited) & set(without)
    assert set(audited) <= set(TITLES)


def test_damaged_examples_are_a_problem_of_the_run(tmp_path: Path) -> None:
    run = write_run(tmp_path / "runs/a", [{"step": 1}])
    (run / "examples").mkdir()
    write_lines(run / "examples/1.jsonl", [{**example(1, labelled=False), "prompt": None}])
    findings, _ = examine([tmp_path / "runs"])
    assert "not an example of rollouts: prompt" in findings.runs[0].problems[0].text


def test_a_run_that_cannot_be_analysed_costs_no_other_its_report(tmp_path: Path) -> None:
    good = [{"step": step, ACCURACY: 0.5, "oracle/true_reward": 0.5} for step in range(12)]
    write_run(tmp_path / "runs/good", good)
    bad = [{"step": step, ACCURACY: 0.5, "oracle/true_reward": -1.0} for step in range(30)]
    write_run(tmp_path / "runs/bad", bad, config={"warning": {"threshold": "high"}})
    token = tmp_path / "runs/bad/attempts/1.json"
    token.write_text(json.dumps(json.loads(token.read_text()) | {"started": "yesterday"}))
    findings, steps = examine([tmp_path / "runs"])
    page = write_report(findings, tmp_path / "report", steps=steps)
    assert page.exists()
    assert {run.name: run.spending.accuracy_end for run in findings.runs}["good"] == 0.5
    assert len(findings.runs) == 2


def test_a_folder_whose_name_is_no_text_is_reported_like_any_other(tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / b"r\xff".decode(errors="surrogateescape"), [{"step": 1}])
    findings, steps = examine([tmp_path / "runs"])
    write_report(findings, tmp_path / "report", steps=steps)
    assert findings.runs[0].name == "r?"


@pytest.mark.parametrize("accuracies", [(0.5, 0.6, 0.45), (0.3, 0.4, 0.5, 0.55, 0.5, 0.42)])
def test_one_low_evaluation_at_the_end_is_no_collapse(
    accuracies: tuple[float, ...], tmp_path: Path
) -> None:
    rows = [{"step": 50 * i, ACCURACY: value} for i, value in enumerate(accuracies)]
    write_run(tmp_path / "runs/a", rows)
    findings, _ = examine([tmp_path / "runs"])
    assert findings.runs[0].verdict.collapsed is not True
