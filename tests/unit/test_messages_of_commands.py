"""What commands say when they are given several runs, or Slurm is silent."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlavr_hpc.cluster.slurm.commands import SlurmError, in_short
from rlavr_hpc.errors import UserError
from rlavr_hpc.evaluation.evaluated_model import find_subject
from rlavr_hpc.runs.find import name_one
from tests.support.run_folders import beat, make_plan


def test_a_folder_of_several_runs_is_answered_with_their_names() -> None:
    assert name_one("runs", ["a", "b"]) == "runs holds 2 runs; name one: runs/a, runs/b"
    assert name_one(".", ["a"]) == ". holds 1 run; name it: a"
    assert name_one("runs", [f"r{i}" for i in range(10)]).endswith("runs/r7 and 2 more")


def test_evaluate_and_export_name_the_runs_of_a_folder(tmp_path: Path) -> None:
    for run in make_plan(tmp_path / "study", "one", "two"):
        beat(run)
    with pytest.raises(UserError, match=r"holds 2 runs; name one: .*study/one, .*study/two"):
        find_subject(str(tmp_path), step=None)


def test_a_silent_slurm_is_one_short_line() -> None:
    unset = "squeue: x: res_nsearch error: Unknown host; fetch_config: DNS SRV lookup failed; fatal"
    assert in_short(SlurmError(unset)) == "it is installed, but this machine belongs to no cluster"
    down = "squeue: Unable to contact slurm controller (connect failure); error: again"
    assert in_short(SlurmError(down)).endswith("controller (connect failure)")
    assert len(in_short(SlurmError("word " * 100))) == 120
