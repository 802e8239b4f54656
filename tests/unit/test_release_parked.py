"""A parked run goes on when enough of its labels are there, and Slurm is asked only then."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from rlavr_hpc.cluster.slurm import commands
from rlavr_hpc.config.labels import LabelsConfig
from rlavr_hpc.overview.release_parked import release_enough, wants_labels
from rlavr_hpc.runs.stops import CANCELLATION, Cause
from tests.support.fake_slurm import FakeSlurm
from tests.support.run_folders import beat, finish, queued, stop

HELD = queued("12_0", reason="job requeued in held state")


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    fake = FakeSlurm(tmp_path / "bin")
    monkeypatch.setenv("PATH", fake.environment["PATH"])
    return fake


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Parked 100 s ago in job 12_0 with ten labels pending."""
    beat(tmp_path / "a1", "parked", time=time.time() - 100, pending=10, exit_code=76)
    return tmp_path / "a1"


def told(slurm: FakeSlurm) -> list[str]:
    """The programs that were run."""
    return [line.split(" -")[0] for line in slurm.asked]


@pytest.mark.parametrize(
    ("enough", "still_open", "released"),
    [(1.0, 1, False), (1.0, 0, True), (0.8, 3, False), (0.8, 2, True), (0.0, 10, True)],
)
def test_it_is_released_when_enough_answers_have_come_and_slurm_is_asked_once(
    run: Path, slurm: FakeSlurm, enough: float, still_open: int, released: bool
) -> None:
    slurm.has(HELD)
    assert release_enough(run, still_open, LabelsConfig(enough=enough)) is released
    assert told(slurm) == (["squeue", "scontrol release 12_0"] if released else [])
    slurm.has(HELD)
    assert not release_enough(run, 0 if released else still_open, LabelsConfig(enough=enough))
    assert len(slurm.asked) == 2 * released


def test_a_job_that_was_released_or_started_meanwhile_is_left_alone(
    run: Path, slurm: FakeSlurm
) -> None:
    slurm.has(queued("12_0", reason="Priority"))
    assert not release_enough(run, 0, LabelsConfig())
    assert not release_enough(run, 0, LabelsConfig())
    assert told(slurm) == ["squeue"]


def test_a_job_that_is_about_to_be_held_is_looked_at_again(run: Path, slurm: FakeSlurm) -> None:
    slurm.has(queued("12_0", "COMPLETING"))
    assert not release_enough(run, 0, LabelsConfig())
    slurm.has(HELD)
    assert release_enough(run, 0, LabelsConfig())


def test_a_slurm_that_refuses_is_told_and_asked_again_at_the_next_look(
    run: Path, slurm: FakeSlurm
) -> None:
    slurm.has(HELD)
    slurm.says("scontrol", "no", code=1)
    said: list[str] = []
    assert not release_enough(run, 0, LabelsConfig(), said.append)
    assert said == ["a1: job 12_0 is not released: scontrol: no"]
    slurm.says("scontrol", "")
    assert release_enough(run, 0, LabelsConfig(), said.append)
    assert said[1:] == ["a1: enough labels are there: job 12_0 is released"]


def test_without_slurm_it_is_said_once_that_the_command_goes_on(
    tmp_path: Path, slurm: FakeSlurm
) -> None:
    said: list[str] = []
    run = tmp_path / "r"
    beat(run, "parked", time=time.time(), pending=10, job=None, restart=None)
    assert release_enough(run, 0, LabelsConfig(), said.append)
    assert not release_enough(run, 0, LabelsConfig(), said.append)
    assert said == [f"r: enough labels are there: start the command of {run} again, it goes on"]
    assert slurm.asked == []
    beat(run, "parked", time=time.time(), pending=4, job=None, restart=None, attempt=2)
    assert release_enough(run, 0, LabelsConfig()), "it has parked again"


def test_where_slurm_is_not_installed_the_user_is_told_to_release_it(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    said: list[str] = []
    assert release_enough(run, 0, LabelsConfig(), said.append)
    assert f"rlavr start-now {run}" in said[0]


def test_a_job_that_is_gone_is_told_unless_it_was_cancelled(run: Path, slurm: FakeSlurm) -> None:
    said: list[str] = []
    assert release_enough(run, 0, LabelsConfig(), said.append)
    assert "job 12_0 is gone: the sweep's command goes on" in said[0]
    (run / "labels/enough/1.json").unlink()
    stop(run, Cause.cancelled, restart=CANCELLATION)
    assert not release_enough(run, 0, LabelsConfig(), said.append)
    assert len(said) == 1


@pytest.mark.parametrize("state", ["running", "waiting", "starting", "stopped", "done"])
def test_a_run_that_is_not_parked_is_left_alone(
    tmp_path: Path, slurm: FakeSlurm, state: str
) -> None:
    beat(tmp_path / "r", state, time=time.time(), pending=10)
    assert not release_enough(tmp_path / "r", 0, LabelsConfig())
    assert not release_enough(tmp_path / "nothing", 0, LabelsConfig())
    assert slurm.asked == []


def test_a_run_that_is_done_or_cancelled_wants_no_labels(run: Path, tmp_path: Path) -> None:
    assert wants_labels(run)
    assert wants_labels(tmp_path / "new")
    stop(run, Cause.cancelled, restart=CANCELLATION)
    assert not wants_labels(run)
    beat(tmp_path / "r", "done")
    finish(tmp_path / "r")
    assert not wants_labels(tmp_path / "r")


def test_releasing_a_job_that_has_started_meanwhile_is_fine(slurm: FakeSlurm) -> None:
    slurm.runs("scontrol", 'echo "Job is no longer pending execution" >&2; exit 1')
    commands.release("12_0")
    slurm.runs("scontrol", 'echo "scontrol: error: Access/permission denied" >&2; exit 1')
    with pytest.raises(commands.SlurmError, match="denied"):
        commands.release("12_0")
    assert os.environ["PATH"].startswith(str(slurm.folder))
