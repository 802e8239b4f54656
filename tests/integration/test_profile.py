"""`profile=true`: what it leaves, and that a run is bit for bit the same with it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from benchmarks.sameness import first_difference
from rlavr_hpc.io import read_record
from rlavr_hpc.telemetry import names
from tests.support.commands import SIX_STEPS, run


def test_a_profiled_run_is_the_same_run_and_tells_where_its_time_went(
    finished: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    done = run(*SIX_STEPS, f"run_dir={folder}", "profile=true")
    assert done.returncode == 0, done.stderr
    assert first_difference(folder, finished, step=6) is None
    left = folder / "profile/1"
    assert {p.name for p in left.iterdir()} == {"table.txt", "table.json", "trace.json.gz"}
    table = read_record(left / "table.json", 1)
    assert table["steps"] == [3, 4, 5]
    phases = {*names.TIME_PHASES, "other"} - {"wait"}  # no label was waited for
    assert {row["phase"] for row in table["phases"]} == phases
    assert sum(row["share"] for row in table["phases"]) == pytest.approx(1.0)
    assert all(row["seconds"] > 0 for row in table["phases"])
    with gzip.open(left / "trace.json.gz") as file:
        ranges = [event.get("name") for event in json.load(file)["traceEvents"]]
    assert ranges.count("step/generate") == 3
    again = run(*SIX_STEPS, f"run_dir={folder}")  # the key names no other run
    assert again.returncode == 0, again.stderr


@pytest.mark.slow
def test_a_profile_that_cannot_be_written_costs_a_warning(tmp_path: Path) -> None:
    few = (*SIX_STEPS[:-3], "steps=4", "eval_every=0", f"run_dir={tmp_path / 'run'}")
    first = run(*few, "steps=1")
    assert first.returncode == 0, first.stderr
    (tmp_path / "run/profile").touch()  # a file where the folder should be
    done = run(*few, "profile=true")
    assert done.returncode == 0, done.stderr
    assert "this attempt has no profile" in done.stderr
