"""The policy study makes a real run; one that fails stops no other; a finished one is kept."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

from benchmarks.policies import run_missing
from benchmarks.policy_plan import Job
from benchmarks.policy_rows import THRESHOLDS, read_rows
from benchmarks.policy_runs import words_of
from rlavr_hpc.cluster.topology import THREAD_VARIABLES
from tests.support.commands import TINY, summary


def job(seed: int, *overrides: str) -> Job:
    return Job(
        study="budget",
        world="default",
        arm="random",
        budget=0.2,
        seed=seed,
        overrides=(*TINY, *overrides, "steps=2", "acquisition=random"),
    )


def test_a_run_that_fails_stops_no_other_and_a_finished_one_is_never_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in THREAD_VARIABLES:
        monkeypatch.setenv(name, "1")  # the study sets them; here they are to be as before
    bad, good = job(1, "budget=7"), job(2)
    arguments = Namespace(out=tmp_path / "out", root=tmp_path / "runs", side_by_side=1)
    table, folder = arguments.out / "policies.csv", arguments.root / good.folder
    folder.mkdir(parents=True)
    (folder / "unfinished").touch()
    assert run_missing([bad, good], arguments) == [bad]
    assert "budget=7" in words_of(bad, arguments.root).read_text()
    assert not words_of(good, arguments.root).exists()
    assert not (folder / "unfinished").exists()  # it was begun anew

    [row] = read_rows(table)
    told = summary(folder)
    assert row.key == good.key
    assert row.labels == told["labels_bought"] == 8
    assert row.accuracy_end == round(told["accuracy_end"], 4) <= row.accuracy_best
    assert (row.faults, row.collapse_step, row.hint_step) == ("", None, None)
    assert row.risk_steps.split() == ["-"] * len(THRESHOLDS)
    assert 0 < row.votes_right_start < 1

    metrics = folder / "metrics/1.jsonl"
    written = metrics.stat().st_mtime_ns
    assert run_missing([good], arguments) == []  # there is a line of it
    table.unlink()
    assert run_missing([good], arguments) == []  # it was stopped before there was one
    assert read_rows(table) == [row]
    assert metrics.stat().st_mtime_ns == written
