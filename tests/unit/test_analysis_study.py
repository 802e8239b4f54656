"""Which runs are found, and what they say together."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import analysis
from rlavr_hpc.errors import UserError
from tests.support.analysis_runs import write_run

ACCURACY = "eval/held_out/mean@8"


def rows(*accuracies: float) -> list[dict[str, Any]]:
    return [
        {"step": step, ACCURACY: value, "labels/total": 0.0}
        for step, value in enumerate(accuracies)
    ]


def make_sweep(folder: Path, *names: str) -> Path:
    plan = {
        "version": 1,
        "name": folder.name,
        "runs": [
            {
                "index": i,
                "run_id": name,
                "folder": f"runs/{folder.name}/{name}",
                "overrides": ["acquisition=random", f"seed={i}", "steps=9"],
            }
            for i, name in enumerate(names)
        ],
    }
    folder.mkdir()
    (folder / "sweep.json").write_text(json.dumps(plan))
    return folder


def test_a_sweep_and_single_runs_are_found_with_those_still_to_come(tmp_path: Path) -> None:
    sweep = make_sweep(tmp_path / "study", "aaaa", "bbbb")
    write_run(sweep / "aaaa", rows(0.4, 0.6))
    (sweep / "code" / "x").mkdir(parents=True)
    write_run(tmp_path / "alone", rows(0.5))
    study = analysis.load(tmp_path)
    assert list(study.table().index) == ["alone", "study/aaaa", "study/bbbb"]
    assert list(study.table()["state"]) == ["failed", "failed", "planned"]
    assert study["study/bbbb"].policy == "random"
    assert study["study/bbbb"].seed == 1
    assert study["study/aaaa"].sweep == "study"
    assert study.problems == ()


def test_the_frames_of_a_study_hold_every_run(tmp_path: Path) -> None:
    write_run(tmp_path / "a", rows(0.4, 0.6))
    write_run(tmp_path / "b", rows(0.5))
    study = analysis.load(tmp_path / "a", tmp_path / "b")
    assert study.steps()[ACCURACY].to_dict() == {("a", 0): 0.4, ("a", 1): 0.6, ("b", 0): 0.5}
    assert study.table().loc["a", "accuracy_end"] == 0.6
    assert list(study.starts().index) == ["a", "b"]


def test_processes_read_the_same_as_one(tmp_path: Path) -> None:
    for number in range(9):
        write_run(tmp_path / f"r{number}", rows(0.1 * number))
    alone, together = analysis.load(tmp_path), analysis.load(tmp_path, workers=2)
    assert together.steps().equals(alone.steps())
    assert len(together.runs) == 9


def test_a_folder_given_twice_is_read_once(tmp_path: Path) -> None:
    write_run(tmp_path / "a", rows(0.4))
    (tmp_path / "link").symlink_to(tmp_path / "a")
    study = analysis.load(tmp_path, tmp_path / "a")
    assert len(study.runs) == 1
    assert study.problems == ()


def test_a_copied_run_counts_once(tmp_path: Path) -> None:
    write_run(tmp_path / "a", rows(0.4))
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    study = analysis.load(tmp_path)
    assert [run.name for run in study.runs] == ["a"]
    assert study.problems[0].text == "is a copy of a: both began as the same start; left out"


def test_of_copies_the_one_that_has_come_farthest_counts(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", rows(0.4, 0.5))
    shutil.copytree(run, tmp_path / "a-backup")
    (tmp_path / "a-backup/metrics/1.jsonl").write_bytes(b"")
    study = analysis.load(tmp_path)
    assert [one.name for one in study.runs] == ["run"]
    assert "a-backup" in study.problems[0].path


def test_what_is_no_run_is_told_but_an_earlier_report_is_not(tmp_path: Path) -> None:
    write_run(tmp_path / "a", rows(0.4))
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").write_text("x")
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "index.html").write_text("x")
    (tmp_path / "report" / "summary.json").write_text("{}")
    study = analysis.load(tmp_path)
    assert [(Path(p.path).name, p.text) for p in study.problems] == [
        ("photos", "holds no run; left out")
    ]


def test_runs_of_the_same_name_stay_apart(tmp_path: Path) -> None:
    write_run(tmp_path / "x" / "a", rows(0.4), attempts=[{"nonce": "1"}])
    write_run(tmp_path / "y" / "a", rows(0.5), attempts=[{"nonce": "2"}])
    study = analysis.load(tmp_path / "x", tmp_path / "y")
    assert sorted(run.name for run in study.runs) == [
        str(tmp_path / "x" / "a"),
        str(tmp_path / "y" / "a"),
    ]


def test_a_deleted_config_does_not_hide_the_run(tmp_path: Path) -> None:
    write_run(tmp_path / "a", rows(0.4, 0.6))
    (tmp_path / "a" / "config.yaml").unlink()
    study = analysis.load(tmp_path)
    assert study["a"].accuracy.to_dict() == {0: 0.4, 1: 0.6}
    assert any("config.yaml" in problem.path for problem in study["a"].problems)


def test_a_missing_folder_and_an_empty_one_are_mistakes(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere: no such folder"):
        analysis.load(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no run in"):
        analysis.load(tmp_path)


def test_a_run_that_is_not_there_is_named(tmp_path: Path) -> None:
    write_run(tmp_path / "a", rows(0.4))
    with pytest.raises(KeyError, match="no run 'b'; there are a"):
        analysis.load(tmp_path)["b"]
