"""`python -m analysis` as a user calls it, on folders as they are found."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.support.analysis_runs import write_run

ROOT = Path(__file__).resolve().parents[2]
ACCURACY = "eval/held_out/mean@8"
STEPS = 60


def curve(*, falls_at: int | None) -> list[dict[str, Any]]:
    """A run that learns from 0.4 on, and collapses from a step on: votes agree on wrong answers."""
    rows: list[dict[str, Any]] = []
    for step in range(STEPS + 1):
        level = 0.4 + 0.005 * step
        agreement = 0.5 + 0.002 * step
        if falls_at is not None and step >= falls_at:
            level, agreement = 0.05, 0.97
        row: dict[str, Any] = {"step": step, "labels/total": 0.0}
        if step:
            row |= {
                "oracle/true_reward": level + 0.01 * (step % 3),
                "labels/bought": 0.0,
                "oracle/vote_accuracy": level,
                "collapse/majority_ratio": agreement,
                "collapse/distinct_answers": 1 + 8 * (1 - agreement),
                "time/step": 1.0,
                "collapse/answer_entropy": 2 * (1 - agreement),
                "collapse/unparsable": 0.0,
                "collapse/pseudo_reward": agreement,
                "collapse/length_tokens": 4.0,
            }
        if step % 20 == 0:
            row[ACCURACY] = level
        rows.append(row)
    return rows


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Two policies, two seeds each; one policy collapses."""
    root = tmp_path / "runs"
    for seed in (1, 2):
        for policy, falls_at in (("none", 25 + seed), ("full", None)):
            config = {
                "seed": seed,
                "steps": STEPS,
                "budget": 0.0 if policy == "none" else 1.0,
                "acquisition": {"name": policy},
            }
            write_run(root / f"{policy}-{seed}", curve(falls_at=falls_at), config=config)
    return root


def analyse(*arguments: Path | str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "analysis", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_the_report_says_which_runs_collapsed_and_when(study: Path, tmp_path: Path) -> None:
    before = contents(study)
    done = analyse(study, "--out", tmp_path / "report")
    assert done.returncode == 0, done.stderr
    assert contents(study) == before
    summary = json.loads((tmp_path / "report/summary.json").read_text())
    verdicts = {run["name"]: run["verdict"] for run in summary["runs"]}
    assert {name: v["collapsed"] for name, v in verdicts.items()} == {
        "none-1": True,
        "none-2": True,
        "full-1": False,
        "full-2": False,
    }
    assert abs(verdicts["none-1"]["onset"] - verdicts["none-1"]["defined_onset"]) <= 10
    assert verdicts["none-1"]["kind"] == "wrong_belief"
    assert re.search(r"2 of 4 runs collapsed", done.stdout)
    assert str(tmp_path / "report/index.html") in done.stdout
    assert {path.suffix for path in (tmp_path / "report/figures").iterdir()} == {".png", ".svg"}
    assert {path.suffix for path in (tmp_path / "report/tables").iterdir()} == {".csv", ".parquet"}


def test_a_report_takes_the_place_of_the_one_before(study: Path) -> None:
    out = study / "report"
    assert analyse(study, "--out", out).returncode == 0
    (out / "mine.txt").write_text("kept")
    again = analyse(study, "--out", out)
    assert again.returncode == 0, again.stderr
    assert (out / "mine.txt").read_text() == "kept"
    assert json.loads((out / "summary.json").read_text())["problems"] == []


def test_damage_and_strangers_are_told_in_the_report(study: Path, tmp_path: Path) -> None:
    with (study / "full-1/metrics/1.jsonl").open("a") as file:
        file.write('{"step": 61, "v":')
    (study / "none-1/config.yaml").write_bytes(b"\xff\xfe")
    (study / "holiday").mkdir()
    (study / "holiday/photo.jpg").write_bytes(b"x")
    done = analyse(study, "--out", tmp_path / "report")
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "report/summary.json").read_text())
    told = [p for run in summary["runs"] for p in run["problems"]] + summary["problems"]
    assert sorted(Path(p["path"]).name for p in told) == ["1.jsonl", "config.yaml", "holiday"]
    assert len(summary["runs"]) == 4


@pytest.mark.parametrize(
    ("out", "words"),
    [("runs/full-1", "is a run's folder"), ("other", "holds something else than a report")],
)
def test_nothing_but_a_report_is_written_over(
    out: str, words: str, study: Path, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other/thesis.tex").write_text("x")
    done = analyse(study, "--out", tmp_path / out)
    assert done.returncode == 2
    assert words in done.stderr


def test_mistakes_end_with_two_and_say_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for arguments, words in (
        ((tmp_path / "nowhere",), "no such folder"),
        ((tmp_path / "empty",), "name a run's folder, a sweep's"),
        ((tmp_path / "empty", "--target", "3"), "above 0 and at most at 1"),
        ((tmp_path / "empty", "--workers", "0"), "at least one process"),
        ((), "required"),
    ):
        done = analyse(*arguments)
        assert done.returncode == 2
        assert words in done.stderr


def test_the_analysis_needs_neither_torch_nor_a_network() -> None:
    code = (
        "import sys, analysis, analysis.examine, analysis.report.write, analysis.report.watch;"
        "print([m for m in ('torch', 'vllm', 'wandb', 'deepspeed') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"


def test_the_watched_page_follows_a_growing_run(study: Path) -> None:
    path = study / "full-1/metrics/1.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:30]))
    command = [sys.executable, "-m", "analysis", "watch", str(study), "--port", "0", "--every", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as server:
        try:
            assert server.stdout is not None
            found = re.search(r"http://127\.0\.0\.1:\d+/", server.stdout.readline())
            assert found
            address = found[0]
            first = urllib.request.urlopen(f"{address}stamp").read()
            assert b"full-1" in urllib.request.urlopen(address).read()
            path.write_text("".join(lines))
            deadline = time.monotonic() + 60
            while urllib.request.urlopen(f"{address}stamp").read() == first:
                assert time.monotonic() < deadline
                time.sleep(0.2)
        finally:
            server.terminate()


def test_a_port_that_is_taken_is_a_mistake(study: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = analyse("watch", study, "--port", str(taken.getsockname()[1]))
    assert done.returncode == 2
    assert "--port 0 takes a free one" in done.stderr
