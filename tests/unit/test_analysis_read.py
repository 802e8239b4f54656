"""Run folders as they are found: whole, in several attempts, rolled back, damaged, foreign."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analysis.load.run import RunData
from analysis.load.run_folder import read_run
from rlavr_hpc.runs.done import write_done
from tests.support.analysis_runs import write_lines, write_run
from tests.support.run_folders import beat

TRUTH = "oracle/true_reward"


RUBBISH = (b"", b"\x00", b"\n", b"{", b'"', b"9" * 30, b"-1", b"null", b"[]", b"\xff", b"1e999")


def texts(run: RunData) -> str:
    return "\n".join(f"{problem.path}: {problem.text}" for problem in run.problems)


def read(folder: Path) -> RunData:
    return read_run(folder, name=folder.name)


def rows(
    *steps: int, attempt: int = 1, value: float = 0.5, labels: float | None = None
) -> list[dict[str, Any]]:
    total = {} if labels is None else {"labels/total": labels}
    return [{"step": step, "attempt": attempt, TRUTH: value, **total} for step in steps]


def intent(step: int, *prompts: str, branch: int = 0) -> dict[str, Any]:
    return {"v": 1, "kind": "intent", "step": step, "branch": branch, "prompts": list(prompts)}


def commit(step: int, prompt: str, *, kind: str = "commit", branch: int = 0) -> dict[str, Any]:
    return {"v": 1, "kind": kind, "step": step, "branch": branch, "prompt": prompt, "cost": 2.0}


def test_a_run_knows_what_was_asked_of_it(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "r", rows(0, 1), config={"budget": 0.02, "seed": 7})
    run = read(folder)
    assert (run.policy, run.budget, run.quota, run.budget_effective) == ("care", 0.02, 2, 0.03125)
    assert (run.seed, run.steps_planned, run.batch, run.selective) == (7, 150, 64, True)
    assert run.problems == ()


def test_metrics_of_version_0_1_have_their_present_names(tmp_path: Path) -> None:
    lines = [{"step": 1, "collapse/surprise": 0.5}, {"step": 2, "collapse/sampled_entropy": 0.25}]
    run = read(write_run(tmp_path / "r", [lines[0]]))
    assert run.series("collapse/sampled_entropy").to_dict() == {1: 0.5}
    resumed = [lines[0], {**lines[1], "attempt": 2}]
    both = read(write_run(tmp_path / "s", resumed, attempts=[{}, {"resumed_from": 1}]))
    assert both.series("collapse/sampled_entropy").to_dict() == {1: 0.5, 2: 0.25}


def test_a_step_done_again_counts_once_with_the_newer_attempt(tmp_path: Path) -> None:
    lines = [*rows(1, 2, 3, value=0.1), *rows(3, 4, attempt=2, value=0.9)]
    folder = write_run(tmp_path / "r", lines, attempts=[{}, {"resumed_from": 2}])
    run = read(folder)
    assert run.rows[TRUTH].to_dict() == {1: 0.1, 2: 0.1, 3: 0.9, 4: 0.9}
    assert list(run.written["step"]) == [1, 2, 3, 3, 4]


def test_steps_that_were_rolled_back_are_not_on_the_line(tmp_path: Path) -> None:
    lines = [*rows(1, 2, 3, value=0.1), {**rows(3, attempt=3, value=0.9)[0], "branch": 1}]
    rollback = {"resumed_from": 2, "branch": 1, "reason": "rollback", "setup": None}
    folder = write_run(
        tmp_path / "r",
        lines,
        attempts=[{}, rollback, {"resumed_from": 2, "branch": 1}],
        ledger=[intent(2, "a"), commit(2, "a"), intent(3, "b"), commit(3, "b")],
    )
    run = read(folder)
    assert run.rows[TRUTH].to_dict() == {1: 0.1, 2: 0.1, 3: 0.9}
    assert list(run.rows["branch"]) == [0, 0, 1]
    assert list(run.purchases["on_line"]) == [True, False]


def test_purchases_are_counted_by_decision(tmp_path: Path) -> None:
    ledger = [
        intent(1, "a", "b", "c"),
        commit(1, "a"),
        commit(1, "b", kind="void"),
        intent(2, "d"),
        commit(2, "d"),
    ]
    folder = write_run(tmp_path / "r", rows(1, 2, labels=2.0), ledger=ledger)
    run = read(folder)
    counted = run.purchases[["step", "wanted", "bought", "void", "cost"]].values.tolist()
    assert counted == [[1, 3, 1, 1, 4.0], [2, 1, 1, 0, 2.0]]
    assert run.problems == ()


def test_labels_that_the_ledger_lacks_are_told(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "r", rows(1, labels=3.0))
    assert "0 labels are on record up to step 1, the metrics tell of 3" in texts(read(folder))


def test_the_ledger_may_be_ahead_of_the_last_row(tmp_path: Path) -> None:
    ledger = [intent(1, "a"), commit(1, "a"), intent(2, "b"), commit(2, "b")]
    folder = write_run(tmp_path / "r", rows(1, labels=1.0), ledger=ledger)
    assert read(folder).problems == ()


def sealed(tmp_path: Path) -> Path:
    lines = [*rows(1, 2, value=0.1), *rows(3, attempt=2, value=0.3)]
    return write_run(tmp_path / "r", lines, attempts=[{}, {"resumed_from": 2}])


def test_what_a_superseded_process_still_wrote_does_not_count(tmp_path: Path) -> None:
    folder = sealed(tmp_path)
    with (folder / "metrics/1.jsonl").open("a") as file:
        file.write(json.dumps({"v": 1, "branch": 0, "step": 9, TRUTH: 0.7}) + "\n")
    run = read(folder)
    assert list(run.rows.index) == [1, 2, 3]
    assert run.problems == ()


def test_a_record_that_was_changed_after_its_seal_is_told(tmp_path: Path) -> None:
    folder = sealed(tmp_path)
    path = folder / "metrics/1.jsonl"
    path.write_text(path.read_text().replace("0.1", "0.8"))
    run = read(folder)
    assert "metrics/1.jsonl: was changed after the next attempt sealed it" in texts(run)
    assert run.rows[TRUTH].to_dict() == {1: 0.8, 2: 0.8, 3: 0.3}


def test_a_record_that_was_cut_short_is_told_and_the_rest_is_used(tmp_path: Path) -> None:
    folder = sealed(tmp_path)
    path = folder / "metrics/1.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    run = read(folder)
    assert "it was cut short" in texts(run)
    assert "the last line is torn" in texts(run)
    assert list(run.rows.index) == [1, 3]


def damage_line(folder: Path) -> None:
    path = folder / "metrics/1.jsonl"
    first, *rest = path.read_text().splitlines()
    path.write_text("\n".join([first, "{nonsense", '{"step": "two"}', *rest]) + "\n")


def repeat_line(folder: Path) -> None:
    path = folder / "metrics/1.jsonl"
    path.write_text(path.read_text() + path.read_text().splitlines()[0] + "\n")


def word_for_number(folder: Path) -> None:
    path = folder / "metrics/1.jsonl"
    path.write_text(path.read_text().replace("0.5", '"half"', 1))


def tear(folder: Path) -> None:
    with (folder / "metrics/1.jsonl").open("a") as file:
        file.write('{"step": 3, "v')


def newer_row(folder: Path) -> None:
    write_lines(folder / "metrics/1.jsonl", [{**rows(1)[0], "v": 1}, {**rows(2)[0], "v": 9}])


def folder_for_file(folder: Path) -> None:
    (folder / "metrics/1.jsonl").unlink()
    (folder / "metrics/1.jsonl").mkdir()


def file_for_folder(folder: Path) -> None:
    shutil.rmtree(folder / "metrics")
    (folder / "metrics").write_text("x")


def mute_stop(folder: Path) -> None:
    (folder / "stops").mkdir()
    (folder / "stops/1_0.0.json").write_text('{"a": 1}')


def stray_purchase(folder: Path) -> None:
    write_lines(folder / "ledger/1.jsonl", [commit(1, "a")])


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "torn last line": (tear, "metrics/1.jsonl: the last line is torn"),
    "lines that are none": (damage_line, "metrics/1.jsonl: line 2 and 1 more cannot be read"),
    "a line twice": (repeat_line, "metrics: 1 steps stand twice in one attempt"),
    "a word for a number": (word_for_number, "1 values of oracle/true_reward are no numbers"),
    "a newer row": (newer_row, "1 lines of an unknown version"),
    "a foreign file": (
        lambda f: (f / "metrics/notes.txt").write_text("mine"),
        "metrics/notes.txt: is not one of a run's files",
    ),
    "a segment of nobody": (
        lambda f: shutil.copy(f / "metrics/1.jsonl", f / "metrics/5.jsonl"),
        "metrics/5.jsonl: there is no attempts/5.json",
    ),
    "a deleted token": (
        lambda f: (f / "attempts/1.json").rename(f / "attempts/2.json"),
        "every line of the record is taken as it stands",
    ),
    "no config": (lambda f: (f / "config.yaml").unlink(), "config.yaml: cannot be used"),
    "a token of wrong types": (
        lambda f: (f / "attempts/1.json").write_text(
            (f / "attempts/1.json").read_text().replace('{"world_size": 1}', '["x"]')
        ),
        "setup is ['x']",
    ),
    "a column that is no metric": (
        lambda f: write_lines(f / "metrics/1.jsonl", [{**rows(1)[0], "v": 1, "run": "x"}]),
        "run is no metric's name",
    ),
    "a newer config": (
        lambda f: (f / "config.yaml").write_text("version: 9\n"),
        "config.yaml: version 9 is none of (1, 2)",
    ),
    "a config that is none": (lambda f: (f / "config.yaml").write_bytes(b"\xff\x00"), "config"),
    "a summary that is none": (
        lambda f: (f / "summary.json").write_text("[" * 100_000),
        "summary.json: cannot be used",
    ),
    "a folder for a file": (folder_for_file, "metrics/1.jsonl: cannot be used"),
    "a file for a folder": (file_for_folder, "metrics: cannot be read"),
    "a stop that says nothing": (mute_stop, "1_0.0.json: does not say how a start ended"),
    "a purchase without decision": (
        stray_purchase,
        "ledger: 1 lines are no purchase or follow no decision",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_told_and_never_stops_the_reader(damage: str, tmp_path: Path) -> None:
    folder = write_run(tmp_path / "r", rows(1, 2))
    harm, expected = DAMAGE[damage]
    harm(folder)
    assert expected in texts(read(folder))


@pytest.mark.parametrize("seed", range(60))
def test_random_damage_never_stops_the_reader(seed: int, tmp_path: Path) -> None:
    draw = random.Random(seed)
    folder = write_run(
        tmp_path / "r",
        [*rows(0, 1, 2), *rows(2, 3, attempt=2)],
        attempts=[{}, {"resumed_from": 1}],
        ledger=[intent(1, "a"), commit(1, "a")],
    )
    (folder / "status.json").write_text('{"state": "running", "time": 1.0}')
    for path in draw.sample(sorted(p for p in folder.rglob("*") if p.is_file()), 3):
        data = bytearray(path.read_bytes())
        for _ in range(draw.choice([1, 5, 40])):
            at = draw.randrange(len(data) + 1)
            data[at : at + draw.choice([0, 1, 9])] = draw.choice(
                [
                    b"",
                    b"\x00",
                    b"\n",
                    b"{",
                    b'"',
                    b"9" * 30,
                    b"-1",
                    b"null",
                    b"[]",
                    b"\xff",
                    b"1e999",
                ]
            )
        path.write_bytes(bytes(data))
    run = read(folder)
    assert isinstance(run.accuracy.to_dict(), dict)
    assert run.steps >= 0


def test_a_killed_run_has_failed(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "r", rows(1))
    beat(folder, time=5.0, job=None)
    assert read(folder).state == "failed"
    write_done(folder, 150)
    assert read(folder).state == "done"


def test_only_gpus_count_as_accelerators(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "r", rows(1), attempts=[{"setup": {"world_size": 4}}])
    assert (read(folder).ranks, read(folder).accelerators) == (4, 0)
    (folder / "provenance").mkdir()
    (folder / "provenance/1.json").write_text('{"device": "NVIDIA H100 80GB HBM3"}')
    assert read(folder).accelerators == 4


def test_settings_of_odd_kinds_are_none(tmp_path: Path) -> None:
    config = {"seed": 1e30, "steps": True, "budget": "much", "warning": {"threshold": None, 3: 4}}
    run = read(write_run(tmp_path / "r", rows(1), config=config))
    assert (run.seed, run.steps_planned, run.budget, run.quota) == (None, None, None, None)
    assert run.config["warning.3"] == 4
