"""Runs that cannot learn: refused before the first step, or told after it and in every view."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rlavr_hpc.runs.provenance import read_provenance
from tests.support.commands import command, rlavr, run, summary


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that was taught nothing."""
    folder = tmp_path_factory.mktemp("untaught")
    done = command("tests.support.tiny_models", str(folder))
    assert done.returncode == 0, done.stderr
    return folder


def settings(model: Path, data: Path) -> list[str]:
    """A run of two steps with this model and these rows."""
    return [
        "data=jsonl",
        f"data.path={data}",
        "model=pretrained",
        f"model.path={model}",
        "model.dtype=float32",
        "rollout=hf",
        "rollout.max_prompt_tokens=200",
        "rollout.max_response_tokens=12",
        "algorithm.batch=8",
        "algorithm.mini_batch=8",
        "algorithm.group_size=2",
        "acquisition=random",
        "budget=0.5",
        "steps=2",
        "eval_every=0",
        "save_every=0",
        "tracking.examples_every=1",
    ]


def rows(path: Path, text: str, answer: str = "4") -> Path:
    """Sixteen rows of one kind."""
    lines = [json.dumps({"prompt": text.format(i), "answer": answer}) for i in range(16)]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_run_in_which_nothing_can_be_read_says_so_everywhere(model: Path, tmp_path: Path) -> None:
    data = rows(tmp_path / "rows.jsonl", "What is {}+1? Put the answer in \\boxed{{}}.")
    folder = tmp_path / "run"
    done = run(*settings(model, data), f"run_dir={folder}")
    assert done.returncode == 0, done.stderr
    assert "WARNING after step 1: no response could be read" in done.stderr
    assert done.stderr.count("WARNING after step") == 1
    assert "to change it: " in done.stderr
    assert "NOTHING LEARNT: no response could be read in any of its 2 steps" in done.stdout
    lost = summary(folder)["lost_signal"]
    assert (lost["nothing_learnt"], lost["steps"], lost["losses"][0]) == (True, 2, "unparsable")
    assert len(lost["endings"]) == 3
    assert all(ending.isprintable() for ending in lost["endings"])
    shown = rlavr("status", str(folder)).stdout
    assert "no response could be read" in shown
    assert "in step 2; " in shown
    report = rlavr("report", str(folder), "--out", str(tmp_path / "report"))
    assert report.returncode == 0, report.stderr
    assert "Nothing was learnt: no response could be read in any of its 2 steps" in report.stdout
    assert "healthy" not in report.stdout
    assert "UserWarning" not in report.stderr
    kept = read_provenance(folder, 1)["data"]["inspection"]
    assert kept["tasks"][0]["answers"] == 16
    assert kept["asked"] == {"boxed": 16}


def test_what_is_wrong_for_all_rows_is_refused_by_check_and_run_alike(
    model: Path, tmp_path: Path
) -> None:
    data = rows(tmp_path / "rows.jsonl", "What is {}+1? End with #### and the value.")
    given = [*settings(model, data), "grading.extract=boxed"]
    looked = rlavr("check", *given)
    assert looked.returncode == 2
    assert "16 of 16 prompts ask for #### ..." in looked.stdout
    assert "«<|im_start|>»user" in looked.stdout
    started = run(*given, f"run_dir={tmp_path / 'run'}")
    assert started.returncode == 2
    assert "16 of 16 prompts ask for #### ..." in started.stderr
    assert "Traceback" not in started.stderr
    assert not (tmp_path / "run").exists()
