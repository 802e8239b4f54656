"""A run that is still there when its time limit comes."""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path

import pytest

from rlavr_hpc.cluster.slurm.end_cause import EndedJob
from rlavr_hpc.cluster.slurm.job_end import decide
from rlavr_hpc.cluster.slurm.time_limit import BEFORE_SECONDS, seconds_left
from rlavr_hpc.cluster.topology import SlurmStart
from rlavr_hpc.runs.stops import Cause, Stop, read_stops, write_stop
from tests.support.commands import command
from tests.support.fake_slurm import FakeSlurm

START = SlurmStart(job="7_3", restart=1, node="n1")
END = "2026-11-23T20:00:00"
RUNNING = {"JobState": "RUNNING", "Restarts": "1", "PreemptTime": "None", "EndTime": END}


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).astimezone().timestamp()


def test_it_is_requeued_before_the_limit() -> None:
    left = seconds_left(RUNNING, START, seconds(END) - 20)
    assert left == 20 - BEFORE_SECONDS


@pytest.mark.parametrize(
    "told",
    [
        {"PreemptTime": END},
        {"Restarts": "2"},
        {"JobState": "COMPLETING"},
        {"EndTime": "Unknown"},
    ],
)
def test_what_ends_otherwise_or_never_is_left_alone(told: dict[str, str]) -> None:
    assert seconds_left({**RUNNING, **told}, START, seconds(END) + 1) is None


def test_a_job_that_slurm_does_not_know_is_left_alone() -> None:
    assert seconds_left({}, START, seconds(END)) is None


def watched(run: Path, slurm: FakeSlurm, *, max_failures: int, **told: str) -> str:
    """What the process beside the run says, now."""
    said = {**RUNNING, **told}
    slurm.says("scontrol", " ".join(f"{key}={value}" for key, value in said.items()))
    done = command(
        "rlavr_hpc.cluster.slurm.time_limit",
        str(run),
        "--max-failures",
        str(max_failures),
        environment={
            **slurm.environment,
            "SLURM_JOB_ID": "9",
            "SLURM_ARRAY_JOB_ID": "7",
            "SLURM_ARRAY_TASK_ID": "3",
            "SLURM_RESTART_COUNT": "1",
            "SLURMD_NODENAME": "n1",
        },
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_its_stop_is_on_record_and_its_job_requeued(tmp_path: Path) -> None:
    slurm = FakeSlurm(tmp_path / "bin")
    watched(tmp_path / "r", slurm, max_failures=2)
    (stop,) = read_stops(tmp_path / "r")
    assert (stop.job, stop.restart, stop.cause, stop.again) == ("7_3", 1, Cause.time_limit, True)
    assert slurm.asked[-1] == "scontrol requeue 7_3"


def test_a_limit_that_was_extended_is_waited_for(tmp_path: Path) -> None:
    slurm = FakeSlurm(tmp_path / "bin")
    end = datetime.fromtimestamp(time.time() + BEFORE_SECONDS + 3).astimezone()
    watched(tmp_path / "r", slurm, max_failures=2, EndTime=f"{end:%Y-%m-%dT%H:%M:%S}")
    assert [line.split()[1] for line in slurm.asked] == ["show", "show", "requeue"]


def test_a_run_that_never_comes_to_a_checkpoint_is_given_up(tmp_path: Path) -> None:
    slurm = FakeSlurm(tmp_path / "bin")
    watched(tmp_path / "r", slurm, max_failures=1)
    (stop,) = read_stops(tmp_path / "r")
    assert not stop.again
    assert "hydra.launcher.time" in stop.message
    assert not any("requeue" in line for line in slurm.asked)


def test_a_start_that_has_ended_meanwhile_has_said_why(tmp_path: Path) -> None:
    slurm, run = FakeSlurm(tmp_path / "bin"), tmp_path / "r"
    write_stop(run, stop(Cause.early_warning, again=False))
    watched(run, slurm, max_failures=2)
    assert [found.cause for found in read_stops(run)] == [Cause.early_warning]
    assert not any("requeue" in line for line in slurm.asked)


def stop(cause: Cause, *, again: bool) -> Stop:
    return Stop(
        job="7_3", restart=1, cause=cause, again=again, exit_code=143, checkpoint=-1, failures=1
    )


def concluded(run: Path, code: int, **job: str) -> Stop:
    """What the batch script says afterwards."""
    ended = EndedJob(
        exit_code=code,
        finished=code == 0,
        start=START,
        job={**RUNNING, **job},
        signal_seconds=20,
        now=time.time(),
    )
    return decide(run, ended, None, max_failures=2)


def test_the_batch_script_adds_what_became_of_it(tmp_path: Path) -> None:
    write_stop(tmp_path, stop(Cause.time_limit, again=True))
    manifest = tmp_path / "checkpoints/step_4/MANIFEST.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({}))
    told = concluded(tmp_path, 75, Restarts="2", JobState="COMPLETING")
    assert (told.cause, told.again, told.checkpoint) == (Cause.time_limit, True, 4)
    assert told.failures == 0, "the record of the same start is no failure before it"


def test_a_run_that_was_given_up_and_ends_well_in_its_last_seconds_is_done(tmp_path: Path) -> None:
    write_stop(tmp_path, stop(Cause.time_limit, again=False))
    assert concluded(tmp_path, 0).cause is Cause.done
