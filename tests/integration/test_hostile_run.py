"""A run whose model writes hostile answers: it goes on, and it resumes to the same results."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rlavr_hpc.telemetry.sinks import read_metrics
from tests.support.commands import (
    REPOSITORY,
    command,
    metrics,
    purchases,
    results,
    rlavr,
    run,
    summary,
    wait_for_step,
    weights_hash,
)
from tests.support.hostile_model import BOMBS

SETTINGS = (
    "model=pretrained",
    "data=jsonl",
    "data.holdout=0.25",
    "rollout.max_prompt_tokens=8",
    "rollout.max_response_tokens=3",
    "algorithm.batch=8",
    "algorithm.mini_batch=8",
    "algorithm.group_size=6",
    "algorithm.micro_batch=64",
    "cluster.threads=1",
    "algorithm.lr=1e-3",
    "eval.samples=2",
    "budget=0.25",
    "steps=4",
    "eval_every=0",
    "save_every=2",
    "grading.extract=boxed",  # the last of several boxes in a row
    "grading.cpu_seconds=0.1",
)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    folder = tmp_path_factory.mktemp("hostile") / "model"
    folder.mkdir()
    made = command("tests.support.hostile_model", str(folder))
    assert made.returncode == 0, made.stderr
    return (*SETTINGS, f"model.path={folder}", f"data.path={folder / 'prompts.jsonl'}")


@pytest.fixture(scope="module")
def finished(hostile: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reference") / "run"
    done = run(*hostile, "rollout=hf", "model.dtype=float32", f"run_dir={folder}")
    assert done.returncode == 0, done.stderr
    return folder


def test_bombs_are_counted_recorded_and_harm_nothing(finished: Path) -> None:
    rows = metrics(finished)[1:]
    assert summary(finished)["status"] == "done"
    assert min(row["grade/ungradable"] for row in rows) > 0.05
    assert max(row["grade/ungradable"] for row in rows) < 0.9
    assert any(row["train/grad_norm"] > 0 for row in rows)
    text = (finished / "ungradable/1.jsonl").read_text()
    records = [json.loads(line) for line in text.splitlines()]
    assert {r["step"] for r in records} == {0, 1, 2, 3, 4}
    assert {r["stage"] for r in records} == {"train", "eval/held_out"}
    assert not any(bomb in text for bomb in BOMBS), "no model text is stored"


@pytest.mark.slow
def test_a_hostile_run_killed_and_continued_equals_one_that_was_not(
    hostile: tuple[str, ...], finished: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    arguments = [*hostile, "rollout=hf", "model.dtype=float32", f"run_dir={folder}"]
    with subprocess.Popen(
        [sys.executable, "-m", "rlavr_hpc.run", *arguments],
        cwd=REPOSITORY,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    ) as started:
        wait_for_step(folder, 1)
        started.send_signal(signal.SIGKILL)
    continued = run(*arguments)
    assert continued.returncode == 0, continued.stderr
    assert results(read_metrics(folder)) == results(metrics(finished))
    assert purchases(folder) == purchases(finished)
    assert weights_hash(folder, 4) == weights_hash(finished, 4)


@pytest.mark.slow
def test_what_was_given_up_once_stays_given_up_when_a_step_is_done_again(
    hostile: tuple[str, ...], tmp_path: Path
) -> None:
    """The second attempt's graders have time enough, and still take the first one's word."""
    kept, lost = tmp_path / "kept", tmp_path / "lost"
    arguments = [*hostile, "rollout=hf", "model.dtype=float32", "save_every=3"]
    assert run(*arguments, f"run_dir={kept}").returncode == 0  # checkpoints after 3 and 4
    for name in ("DONE.json", "checkpoints/step_4/MANIFEST.json"):
        (kept / name).unlink()
    shutil.copytree(kept, lost)
    (lost / "ungradable/1.jsonl").unlink()
    share = {}
    for folder in (kept, lost):
        generous = ["grading.cpu_seconds=2", "allow_change=[grading.cpu_seconds]"]
        continued = run(*arguments, *generous, f"run_dir={folder}")
        assert continued.returncode == 0, continued.stderr
        [row] = metrics(folder, 2)
        assert row["step"] == 4
        share[folder] = row["grade/ungradable"]
    before = metrics(kept)[4]["grade/ungradable"]
    assert share[kept] == before
    assert share[lost] < before, "without the record the slow answer is graded now"


@pytest.mark.ranks
@pytest.mark.vllm
def test_vllm_beside_zero3_on_two_ranks_survives_bombs(
    hostile: tuple[str, ...], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    done = run(*hostile, "rollout=vllm", "model.dtype=bfloat16", f"run_dir={folder}", ranks=2)
    assert done.returncode == 0, done.stderr
    assert summary(folder)["labels_bought"] == 8
    assert min(row["grade/ungradable"] for row in metrics(folder)[1:]) > 0.05
    assert rlavr("ledger", "verify", str(folder)).returncode == 0
