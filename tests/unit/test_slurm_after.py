"""Why a job ended, and whether it goes back into the queue."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rlavr_hpc.cluster.slurm.end_cause import EndedJob, classify, failures_in_a_row
from rlavr_hpc.cluster.slurm.job_end import conclude, decide
from rlavr_hpc.cluster.topology import SlurmStart
from rlavr_hpc.runs.failures import Failure
from rlavr_hpc.runs.stops import (
    CANCELLATION,
    WAIT_TO_BE_KILLED,
    Cause,
    Stop,
    read_stops,
    write_stop,
)
from tests.support.fake_slurm import FakeSlurm
from tests.support.run_folders import beat

START = SlurmStart(job="7_3", restart=1, node="n1")
RUNNING = {"JobState": "RUNNING", "Reason": "None", "Restarts": "1", "PreemptTime": "None"}
LATER = "2026-11-23T20:00:00"


def ended(code: int, *, finished: bool = False, now: float = 0.0, **job: str) -> EndedJob:
    return EndedJob(
        exit_code=code,
        finished=finished,
        start=START,
        job={**RUNNING, **job},
        signal_seconds=20,
        now=now,
    )


@pytest.mark.parametrize(
    ("told", "cause"),
    [
        (ended(0, finished=True), Cause.done),
        (ended(75, PreemptTime=LATER, EndTime=LATER), Cause.preempted),
        (ended(143, PreemptTime=LATER, EndTime=LATER), Cause.preempted),
        (ended(75, JobState="COMPLETING", Restarts="2"), Cause.requeued),
        (ended(75, JobState="PENDING", Restarts="2"), Cause.requeued),
        (ended(75, JobState="COMPLETING", Reason="TimeLimit"), Cause.time_limit),
        (ended(75, JobState="COMPLETING"), Cause.cancelled),
        (ended(75, JobState="COMPLETING", PreemptTime=LATER), Cause.cancelled),
        (ended(75), Cause.signalled),
        (ended(143), Cause.signalled),
        (ended(140), Cause.signalled),
        (ended(1), Cause.crashed),
        (ended(137), Cause.crashed),
        (ended(0), Cause.crashed),
        (ended(2), Cause.mistake),
        (ended(3), Cause.early_warning),
        (ended(3, PreemptTime=LATER), Cause.early_warning),
        (ended(76), Cause.waiting_for_labels),
        (ended(76, PreemptTime=LATER, EndTime=LATER), Cause.waiting_for_labels),
        (ended(76, JobState="COMPLETING", Reason="TimeLimit"), Cause.waiting_for_labels),
        (ended(76, JobState="COMPLETING"), Cause.cancelled),
        (ended(76, JobState="COMPLETING", Restarts="2"), Cause.requeued),
        (ended(77, Restarts="2"), Cause.fenced),
        (ended(77), Cause.fenced),
    ],
)
def test_the_cause_follows_from_what_slurm_says_and_the_exit_code(
    told: EndedJob, cause: Cause
) -> None:
    assert classify(told) is cause


def test_a_stop_close_to_the_end_of_the_job_is_the_time_limit() -> None:
    from datetime import datetime

    end = datetime.fromisoformat(LATER).astimezone().timestamp()
    assert classify(ended(75, EndTime=LATER, now=end - 109)) is Cause.time_limit
    assert classify(ended(75, EndTime=LATER, now=end - 111)) is Cause.signalled
    assert classify(ended(140, EndTime=LATER, now=end - 20)) is Cause.time_limit
    assert classify(ended(1, EndTime=LATER, now=end - 20)) is Cause.crashed


def test_a_job_that_slurm_no_longer_knows_is_judged_by_its_exit_code() -> None:
    told = EndedJob(exit_code=1, finished=False, start=START, job={}, signal_seconds=20, now=0.0)
    assert classify(told) is Cause.crashed


def stop(cause: Cause, *, checkpoint: int, failures: int = 0, job: str = "7_3") -> Stop:
    return Stop(
        job=job,
        restart=0,
        cause=cause,
        again=True,
        exit_code=1,
        checkpoint=checkpoint,
        failures=failures,
        time=1.0,
    )


@pytest.mark.parametrize(
    ("before", "cause", "checkpoint", "row"),
    [
        ([], Cause.crashed, -1, 1),
        ([], Cause.time_limit, -1, 1),
        ([], Cause.time_limit, 20, 0),
        ([stop(Cause.crashed, checkpoint=20, failures=1)], Cause.crashed, 20, 2),
        ([stop(Cause.crashed, checkpoint=20, failures=2)], Cause.crashed, 30, 1),
        ([stop(Cause.preempted, checkpoint=20, failures=2)], Cause.crashed, 20, 3),
        ([stop(Cause.crashed, checkpoint=20, failures=2)], Cause.preempted, 20, 2),
        ([stop(Cause.crashed, checkpoint=20, failures=2, job="6_3")], Cause.crashed, 20, 1),
        ([stop(Cause.time_limit, checkpoint=20, failures=1)], Cause.time_limit, 20, 2),
        ([stop(Cause.time_limit, checkpoint=20, failures=1)], Cause.time_limit, 40, 0),
        ([stop(Cause.signalled, checkpoint=-1, failures=2)], Cause.signalled, -1, 3),
        ([stop(Cause.signalled, checkpoint=20, failures=2)], Cause.signalled, 30, 0),
    ],
)
def test_only_failures_without_a_newer_checkpoint_add_up(
    before: list[Stop], cause: Cause, checkpoint: int, row: int
) -> None:
    assert failures_in_a_row(before, cause, job="7_3", checkpoint=checkpoint) == row


def failure(error: str) -> Failure:
    return Failure(
        start="7_3.1", rank=1, exit_code=1, error=error, traceback="", host="n1", pid=1, time=1.0
    )


def test_a_crash_is_tried_again_until_it_has_happened_too_often(tmp_path: Path) -> None:
    first = decide(tmp_path, ended(1), failure("ValueError: no"), max_failures=2)
    assert (first.again, first.failures, first.message) == (True, 1, "ValueError: no")
    write_stop(tmp_path, replace(first, restart=0))
    second = decide(tmp_path, ended(1, now=5.0), failure("ValueError: no"), max_failures=2)
    assert (second.again, second.failures) == (False, 2)
    assert second.message == "given up after 2 failures without a new checkpoint: ValueError: no"


def test_a_time_limit_that_never_lets_a_checkpoint_happen_is_given_up_with_the_way_out(
    tmp_path: Path,
) -> None:
    told = ended(143, JobState="COMPLETING", Reason="TimeLimit")
    stopped = decide(tmp_path, told, None, max_failures=1)
    assert not stopped.again
    assert "hydra.launcher.time" in stopped.message
    assert "save_every" in stopped.message


def test_a_preemption_is_requeued_however_often(tmp_path: Path) -> None:
    write_stop(tmp_path, stop(Cause.crashed, checkpoint=-1, failures=1))
    told = ended(75, PreemptTime=LATER)
    assert decide(tmp_path, told, None, max_failures=2).again


@pytest.mark.parametrize("code", [2, 3, 77])
def test_what_a_new_start_cannot_mend_is_not_requeued(tmp_path: Path, code: int) -> None:
    assert not decide(tmp_path, ended(code), None, max_failures=9).again


def test_a_run_that_parks_is_no_failure_however_often_and_its_job_goes_back(tmp_path: Path) -> None:
    write_stop(tmp_path, replace(stop(Cause.crashed, checkpoint=-1, failures=1), time=1.0))
    for restart in range(1, 6):
        told = replace(ended(76, now=2.0 + restart), start=replace(START, restart=restart))
        told = replace(told, job={**told.job, "Restarts": str(restart)})
        parked = decide(tmp_path, told, None, max_failures=1)
        assert (parked.cause, parked.again) == (Cause.waiting_for_labels, True)
        assert parked.failures == 1, "the crash before, and nothing more"
        write_stop(tmp_path, parked)


def test_time_limits_while_a_run_waits_for_labels_are_no_failures(tmp_path: Path) -> None:
    write_stop(tmp_path, replace(stop(Cause.time_limit, checkpoint=-1), failures=0))
    told = ended(75, JobState="COMPLETING", Reason="TimeLimit")
    assert not decide(tmp_path, told, None, max_failures=1).again
    waited = decide(tmp_path, replace(told, waited=True), None, max_failures=1)
    assert (waited.cause, waited.again, waited.failures) == (Cause.time_limit, True, 0)


@pytest.mark.parametrize(
    ("code", "state", "asked"),
    [
        (76, "parked", "scontrol requeuehold 7_3"),
        (143, "parked", "scontrol requeuehold 7_3"),
        (75, "stopped", "scontrol requeue 7_3"),
    ],
)
def test_a_parked_run_is_requeued_held_whatever_its_other_ranks_died_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, state: str, asked: str
) -> None:
    slurm = FakeSlurm(tmp_path / "bin")
    slurm.says("scontrol", "JobId=8 JobState=RUNNING Reason=None Restarts=1 PreemptTime=None\n")
    values = {"ARRAY_JOB_ID": "7", "ARRAY_TASK_ID": "3", "RESTART_COUNT": "1"}
    for name, value in values.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    monkeypatch.setenv("PATH", slurm.environment["PATH"])
    beat(tmp_path / "r", state, job="7_3", restart=1, pending=24)
    told = conclude(tmp_path / "r", code, max_failures=1, signal_seconds=20)
    assert (told, slurm.asked[-1]) == (WAIT_TO_BE_KILLED, asked)


def test_a_damaged_record_does_not_keep_a_job_from_being_requeued(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_stop(tmp_path, replace(stop(Cause.crashed, checkpoint=-1, failures=1), time=2.0))
    (tmp_path / "stops/7_3.9.json").write_text('{"version": 1, "ca')
    told = decide(tmp_path, ended(1, now=5.0), None, max_failures=9)
    assert (told.again, told.failures) == (True, 2)
    assert "7_3.9.json cannot be used" in capsys.readouterr().err


def test_a_cancelled_job_stays_cancelled(tmp_path: Path) -> None:
    told = ended(75, JobState="COMPLETING")
    assert not decide(tmp_path, told, None, max_failures=9).again


def test_a_job_whose_user_cancelled_it_is_not_requeued_whatever_slurm_says(tmp_path: Path) -> None:
    mark = stop(Cause.cancelled, checkpoint=-1)
    write_stop(tmp_path, replace(mark, restart=CANCELLATION))
    told = decide(tmp_path, ended(75, PreemptTime=LATER), None, max_failures=9)
    assert (told.cause, told.again) == (Cause.cancelled, False)


def test_the_step_of_the_newest_whole_checkpoint_is_kept(tmp_path: Path) -> None:
    for name in ("step_4", "step_20", ".tmp.step_30"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    for name in ("step_4", ".tmp.step_30"):
        (tmp_path / "checkpoints" / name / "MANIFEST.json").touch()
    assert decide(tmp_path, ended(75), None, max_failures=9).checkpoint == 4


def test_stops_are_read_back_in_order(tmp_path: Path) -> None:
    late, early = stop(Cause.crashed, checkpoint=3), stop(Cause.preempted, checkpoint=1, job="6_3")
    write_stop(tmp_path, replace(late, time=9.0))
    write_stop(tmp_path, replace(early, time=4.0))
    assert [s.cause for s in read_stops(tmp_path)] == [Cause.preempted, Cause.crashed]
