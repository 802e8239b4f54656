"""One short run: a dashboard below a sweep's agent, its texts, its roll-back; and broken models."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from rlavr_hpc.telemetry.sinks import read_line
from rlavr_hpc.telemetry.wandb.files import read_rows, wandb_files
from rlavr_hpc.testbed.base_model import Recipe
from rlavr_hpc.testbed.model_cache import ensure_base_model
from tests.support.commands import TINY, rlavr, run

ELSEWHERE = {"WANDB_SWEEP_ID": "abcd1234", "WANDB_RUN_GROUP": "other", "WANDB_RESUME": "must"}
SHORT = (*TINY, "rollout=hf", "acquisition=random", "save_every=0", "eval_every=0")


@pytest.fixture(scope="module")
def short_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two steps, then one more: below a sweep's agent, with an offline dashboard."""
    folder = tmp_path_factory.mktemp("short") / "run"
    for steps in (2, 3):
        done = run(
            *SHORT, f"steps={steps}", "tracking=offline", f"run_dir={folder}", environment=ELSEWHERE
        )
        assert done.returncode == 0, done.stderr
        assert "WANDB_SWEEP_ID, WANDB_RUN_GROUP, WANDB_RESUME in the environment are" in done.stderr
    return folder


def status(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(rlavr("status", str(folder), "--json").stdout)
    del told["heartbeat_age"]
    return told


def test_below_a_sweeps_agent_all_attempts_are_one_run_on_the_dashboard(short_run: Path) -> None:
    files = wandb_files(short_run)
    assert len(files) == 2
    assert len({path.stem.removeprefix("run-") for path in files}) == 1
    steps = [row["step"] for path in files for row in read_rows(path)]
    assert steps == [row["step"] for row in read_line(short_run)] == [0, 1, 2, 3]


def test_an_evaluation_keeps_its_texts(short_run: Path, tmp_path: Path) -> None:
    file = tmp_path / "texts.jsonl"
    given = [str(short_run), "--on", "held_out", "--samples", "2", "--limit", "3"]
    given += ["--out", str(tmp_path / "out")]
    assert rlavr("evaluate", *given).returncode == 0
    done = rlavr("evaluate", *given, "--responses", str(file))
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(rows) == 6
    assert all(row["prompt"] and row["response"] for row in rows)
    assert file.stat().st_mode & 0o777 == 0o600
    measured = [json.loads(x) for x in (tmp_path / "out/held_out.jsonl").read_text().splitlines()]
    assert [row["correct"] for row in rows] == [c for row in measured[1:] for c in row["correct"]]


def test_a_short_run_is_rolled_back_undone_rolled_back_again_and_goes_on(short_run: Path) -> None:
    before = status(short_run)
    refused = rlavr("rollback", str(short_run))
    assert (refused.returncode, "say --yes" in refused.stderr) == (2, True)
    assert rlavr("rollback", str(short_run), "--yes").returncode == 0
    between = status(short_run)
    assert (between["state"], between["step"]) == ("stopped", 0)
    assert rlavr("rollback", str(short_run), "--undo").returncode == 0
    assert status(short_run) == before
    assert rlavr("ledger", "verify", str(short_run)).returncode == 0
    nothing = run(*SHORT, "steps=3", f"run_dir={short_run}")
    assert (nothing.returncode, "finished already" in nothing.stderr) == (0, True)
    assert rlavr("rollback", str(short_run), "--yes").returncode == 0
    again = run(*SHORT, "steps=3", f"run_dir={short_run}")
    assert again.returncode == 0, again.stderr
    after = status(short_run)
    assert (after["state"], after["step"]) == ("done", 3)
    assert after["labels_bought"] <= after["labels_allowed"] == 2 * before["labels_allowed"]
    shown = rlavr("ledger", "show", str(short_run)).stdout
    assert "branch  step  bought" in shown
    assert rlavr("ledger", "verify", str(short_run)).returncode == 0
    late = rlavr("rollback", str(short_run), "--undo")
    assert (late.returncode, "branch 1 has begun" in late.stderr) == (2, True)


@pytest.fixture(scope="module")
def base_model() -> Path:
    recipe = Recipe(kinds="HMHHMHXX", wrong_rule=0, seed=0, steps=400, tied=False)
    return ensure_base_model(recipe, quiet=True)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.jsonl"
    rows = [{"prompt": f"H{i}", "answer": str(i)} for i in range(32)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def lack_a_matrix(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["lm_head.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def be_cut(folder: Path) -> None:
    os.truncate(folder / "model.safetensors", 5000)


@pytest.mark.parametrize(
    ("damage", "said"),
    [(lack_a_matrix, "its weights lack lm_head.weight"), (be_cut, "cut short")],
)
def test_a_broken_model_is_a_mistake_for_a_run_and_for_an_evaluation(
    base_model: Path, data: Path, tmp_path: Path, damage: Callable[[Path], None], said: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(base_model, folder)
    damage(folder)
    trained = run(
        *("data=jsonl", f"data.path={data}", "model=pretrained", f"model.path={folder}"),
        *("rollout=hf", "algorithm.batch=8", "algorithm.mini_batch=8", "steps=1"),
        *("rollout.max_prompt_tokens=16", "rollout.max_response_tokens=16"),
        *("model.dtype=float32", f"run_dir={tmp_path / 'run'}"),
    )
    evaluated = rlavr("evaluate", str(folder), "--on", str(data), "--engine", "hf")
    for done in (trained, evaluated):
        assert done.returncode == 2, done.stderr
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def test_a_dashboards_project_is_checked_before_the_start(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    done = run("tracking=offline", "tracking.project=our team/sums", f"run_dir={folder}")
    assert done.returncode == 2
    assert "tracking.project='our team/sums': wandb takes no name with /" in done.stderr
    assert not folder.exists()
