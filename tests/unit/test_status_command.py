"""`status`, `cancel`, `start-now` and `logs`, as a user starts them, with fake Slurm programs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rlavr_hpc.overview.status_table import as_table
from rlavr_hpc.runs.state_types import State
from rlavr_hpc.runs.states import RunState, states
from rlavr_hpc.runs.stops import Cause, read_stops
from tests.support.commands import REPOSITORY, rlavr
from tests.support.fake_slurm import FakeSlurm, without_slurm
from tests.support.run_folders import beat, fail, finish, make_plan, queued, stop, submit


@pytest.fixture
def slurm(tmp_path: Path) -> FakeSlurm:
    return FakeSlurm(tmp_path / "bin")


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Four runs of job 12: one runs, one waits, one failed, one is done."""
    folder = tmp_path / "runs/s"
    runs = make_plan(folder, "a0", "a1", "a2", "a3", steps=150)
    submit(folder, *runs, job=12)
    now = time.time()
    beat(runs[0], time=now, labels_bought=390, labels_allowed=1950, accuracy=0.5123, risk=0.25)
    beat(runs[2], "failed", time=now - 60, job="12_2")
    stop(runs[2], Cause.crashed, job="12_2", time=now - 59, message="crashed at step 30")
    fail(runs[2], "RuntimeError: no luck", start="12_2.0", rank=1, time=now - 61)
    finish(runs[3])
    beat(runs[3], "done", step=150, job="12_3", time=now - 600)
    return folder


QUEUE = (queued("12_0", "RUNNING"), queued("12_1"))


def test_the_table_shows_every_run_counts_them_and_says_what_to_do(
    sweep: Path, slurm: FakeSlurm
) -> None:
    slurm.has(*QUEUE)
    done = rlavr("status", str(sweep), environment=slurm.environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "run  overrides  state       step   left    labels    acc  risk  tries  job   node",
        "a0   seed=0     running   30/150  4 min  390/1950  0.512  0.25      1  12_0  n7",
        "a1   seed=1     queued     0/150                                       12_1",
        "a2   seed=2     failed    30/150                                    1  12_2",
        "a3   seed=3     done     150/150                                    1  12_3",
        "",
        "4 runs: 1 running, 1 queued, 1 failed, 1 done",
        "  queued a1: Priority: others are before it",
        "  failed a2: crashed at step 30",
        "",
        f"  rlavr why {sweep}/a2  # why it failed",
        f"  rlavr retry {sweep}   # submit what failed again",
    ]
    assert slurm.asked == [f"squeue -h -r -u {os.getuid()} -o %F|%K|%T|%r|%N|%S|%P|%k"]


def test_json_is_one_object_per_run_with_the_documented_fields(
    sweep: Path, slurm: FakeSlurm
) -> None:
    slurm.has(*QUEUE)
    done = rlavr("status", "--json", str(sweep.parent), environment=slurm.environment)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(run["name"], run["state"]) for run in told] == [
        ("s/a0", "running"),
        ("s/a1", "queued"),
        ("s/a2", "failed"),
        ("s/a3", "done"),
    ]
    helped = rlavr("status", "--help").stdout
    assert [name for name in told[0] if not re.search(rf"\b{name}\b", helped)] == []
    assert told[0]["run"] == str(sweep / "a0")
    assert (told[0]["eta_seconds"], told[0]["overrides"]) == (240.0, ["seed=0"])


def test_a_folder_without_runs_is_a_mistake(tmp_path: Path, slurm: FakeSlurm) -> None:
    for folder in (tmp_path / "bin", tmp_path / "nowhere"):
        done = rlavr("status", str(folder), environment=slurm.environment)
        assert done.returncode == 2
        assert done.stderr.startswith(f"rlavr: {folder} ")


def test_a_slurm_that_does_not_answer_is_told_and_the_folders_speak(
    sweep: Path, slurm: FakeSlurm
) -> None:
    slurm.says("squeue", "squeue: error: no controller", code=1)
    done = rlavr("status", str(sweep), environment=slurm.environment)
    assert done.returncode == 0
    assert "Slurm does not answer" in done.stderr
    assert "1 running" in done.stdout


def test_a_slurm_that_does_not_answer_is_no_matter_to_runs_that_have_no_job(
    slurm: FakeSlurm, tmp_path: Path
) -> None:
    beat(tmp_path / "r", "stopped", job=None)
    slurm.says("squeue", "squeue: error: no controller", code=1)
    done = rlavr("status", str(tmp_path / "r"), environment=slurm.environment)
    assert (done.returncode, done.stderr) == (0, "")


def test_without_slurm_the_folders_speak_without_a_word_about_it(
    sweep: Path, tmp_path: Path
) -> None:
    done = rlavr("status", str(sweep), environment=without_slurm(tmp_path / "no"))
    assert (done.returncode, done.stderr) == (0, "")


def test_watch_shows_the_table_until_ctrl_c(sweep: Path, slurm: FakeSlurm) -> None:
    slurm.has(*QUEUE)
    with subprocess.Popen(
        [sys.executable, "-m", "rlavr_hpc", "status", str(sweep), "--watch"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env={**slurm.environment},
    ) as child:
        assert child.stdout is not None
        line = child.stdout.readline()
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate(timeout=20)
    assert line.startswith("run ")
    assert (child.returncode, errors) == (0, "")


def a_state(**facts: object) -> RunState:
    values: dict[str, object] = {
        "run": Path("/r/s/a1"),
        "name": "a1",
        "overrides": (),
        "state": State.running,
        "step": 3,
        "steps": 9,
        "eta_seconds": None,
        "labels_bought": None,
        "labels_allowed": None,
        "accuracy": None,
        "risk": None,
        "attempts": 1,
        "node": None,
        "job": None,
        "reason": "",
        "heartbeat_age": None,
    }
    return RunState(**values | facts)  # type: ignore[arg-type]


def test_long_overrides_give_way_on_a_narrow_terminal() -> None:
    run = a_state(overrides=("acquisition.settings.very_long_name=0.123456789",))
    lines = as_table([run], "s", width=60).splitlines()
    assert max(map(len, lines)) <= 60
    assert "…" in lines[1]


def test_states_are_coloured_only_when_asked() -> None:
    assert "\033" not in as_table([a_state()], "s")
    assert "\033[32mrunning" in as_table([a_state()], "s", colour=True)


def test_equal_reasons_are_told_once_and_many_runs_are_counted() -> None:
    runs = [a_state(name=f"a{i}", state=State.queued, reason="Priority: x") for i in range(9)]
    assert "  queued a0, a1, a2, a3 and 5 more: Priority: x" in as_table(runs, "s").splitlines()


# --- cancel --------------------------------------------------------------------------------------


def test_cancel_ends_waiting_and_running_jobs_and_the_runs_are_cancelled_for_good(
    sweep: Path, slurm: FakeSlurm
) -> None:
    slurm.has(*QUEUE)
    done = rlavr("cancel", str(sweep), environment=slurm.environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "a0: job 12_0 cancelled (was running, step 30)",
        "a1: job 12_1 cancelled (was pending, step 0)",
        "no job to cancel: 1 failed, 1 done",
    ]
    assert "scancel 12_0 12_1" in slurm.asked
    assert [s.cause for s in read_stops(sweep / "a1")] == [Cause.cancelled]
    told = {run.name: run.state for run in states(sweep, queue=(), now=time.time() + 100)}
    assert told["a0"] == told["a1"] == State.cancelled


def test_a_cancellation_is_on_record_before_the_job_is_told(sweep: Path, slurm: FakeSlurm) -> None:
    slurm.has(*QUEUE)
    marks = f"ls {sweep}/a0/stops >{sweep}/seen"
    slurm.runs("scancel", f'{marks}; : >"$here/squeue.out"')
    rlavr("cancel", str(sweep / "a0"), environment=slurm.environment)
    assert (sweep / "seen").read_text() == "12_0.-1.json\n"


def test_a_job_that_slurm_keeps_is_not_called_cancelled(sweep: Path, slurm: FakeSlurm) -> None:
    slurm.has(*QUEUE)
    slurm.says("scancel", "")
    done = rlavr("cancel", str(sweep / "a0"), environment=slurm.environment)
    assert done.returncode == 1
    assert "NOT cancelled" in done.stdout
    assert not list((sweep / "a0/stops").iterdir())


def test_a_refused_cancel_leaves_the_runs_as_they_are(sweep: Path, slurm: FakeSlurm) -> None:
    slurm.has(*QUEUE)
    slurm.says("scancel", "scancel: error: Access denied", code=1)
    done = rlavr("cancel", str(sweep), environment=slurm.environment)
    assert done.returncode == 1
    assert "Access denied" in done.stderr
    assert not list((sweep / "a1/stops").iterdir())


def test_jobs_of_older_submissions_are_cancelled_too(sweep: Path, slurm: FakeSlurm) -> None:
    submit(sweep, sweep / "a1", job=15)
    slurm.has(queued("15_0"), queued("12_1"))
    rlavr("cancel", str(sweep / "a1"), environment=slurm.environment)
    assert "scancel 15_0 12_1" in slurm.asked


def test_a_local_run_that_goes_on_is_not_called_cancelled(tmp_path: Path, slurm: FakeSlurm) -> None:
    beat(tmp_path / "r", time=time.time(), job=None)
    done = rlavr("cancel", str(tmp_path / "r"), environment=slurm.environment)
    assert done.returncode == 1
    assert "NOT cancelled: running on n7 without a job" in done.stdout


def test_cancelling_what_is_over_is_fine(sweep: Path, slurm: FakeSlurm) -> None:
    done = rlavr("cancel", str(sweep / "a3"), environment=slurm.environment)
    assert (done.returncode, done.stdout) == (0, "no job to cancel: 1 done\n")
    assert not any(line.startswith("scancel") for line in slurm.asked)


# --- start-now -----------------------------------------------------------------------------------


def test_start_now_starts_what_waits_for_the_delay_and_leaves_the_rest(
    sweep: Path, slurm: FakeSlurm
) -> None:
    slurm.has(queued("12_0", reason="BeginTime"), queued("12_1", reason="Resources"))
    beat(sweep / "a0", "stopped", time=time.time() - 60)
    done = rlavr("start-now", str(sweep), environment=slurm.environment)
    assert done.returncode == 0
    assert [line for line in slurm.asked if "scontrol" in line] == [
        "scontrol update JobId=12_0 StartTime=now"
    ]
    assert done.stdout.splitlines()[0] == "a0: job 12_0 may start now"
    assert "12_1 waits for something else: Resources" in done.stdout


def test_start_now_starts_no_job_in_the_second_in_which_it_was_requeued(
    sweep: Path, slurm: FakeSlurm
) -> None:
    slurm.has(queued("12_0", reason="BeginTime"))
    slurm.runs("squeue", 'date +%s >"$here/seen"; cat "$here/squeue.out"')
    slurm.runs("scontrol", 'date +%s >"$here/told"')
    done = rlavr("start-now", str(sweep), environment=slurm.environment)
    assert done.returncode == 0
    seen, told = (int((slurm.folder / name).read_text()) for name in ("seen", "told"))
    assert told > seen


def test_starting_a_job_that_has_started_meanwhile_is_fine(sweep: Path, slurm: FakeSlurm) -> None:
    slurm.has(queued("12_0", reason="BeginTime"))
    slurm.runs("scontrol", 'echo "12_0: Job is no longer pending execution" >&2; exit 1')
    done = rlavr("start-now", str(sweep), environment=slurm.environment)
    assert done.returncode == 0


# --- logs ----------------------------------------------------------------------------------------


def test_logs_prints_rank_0s_and_says_where_it_is(sweep: Path) -> None:
    (sweep / "slurm/1/log/12_2_0_log.out").write_text("one\ntwo\n")
    (sweep / "slurm/1/log/12_2.log").write_text("srun's\n")
    done = rlavr("logs", str(sweep / "a2"))
    assert (done.returncode, done.stdout) == (0, "one\ntwo\n")
    assert done.stderr == f"==> {sweep}/slurm/1/log/12_2_0_log.out\n"
    assert rlavr("logs", str(sweep / "a2"), "--batch").stdout == "srun's\n"
    assert rlavr("logs", str(sweep / "a2"), "-n", "1").stdout == "two\n"


def test_the_newest_job_that_has_written_is_shown(sweep: Path) -> None:
    (sweep / "slurm/1/log/12_2_0_log.out").write_text("old\n")
    new = submit(sweep, sweep / "a2", job=15)
    done = rlavr("logs", str(sweep / "a2"))
    assert done.stdout == "old\n"
    assert "job 15_0 has no log yet" in done.stderr
    new.log(0, 0).write_text("new\n")
    assert rlavr("logs", str(sweep / "a2")).stdout == "new\n"


def test_logs_that_are_not_there_and_runs_that_are_not_slurms_are_told(
    sweep: Path, tmp_path: Path
) -> None:
    done = rlavr("logs", str(sweep / "a1"))
    assert done.returncode == 1
    assert "appears when job 12_1 starts" in done.stderr
    beat(tmp_path / "r", job=None)
    assert rlavr("logs", str(tmp_path / "r")).returncode == 2
    done = rlavr("logs", str(sweep))
    assert "holds 4 runs; name one" in done.stderr


def test_following_goes_on_over_a_requeue_and_a_new_submission_until_the_run_is_done(
    sweep: Path,
) -> None:
    old = sweep / "slurm/1/log/12_2_0_log.out"
    old.write_text("start\n")
    with subprocess.Popen(
        [sys.executable, "-m", "rlavr_hpc", "logs", "-f", str(sweep / "a2")],
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "start\n"
        with old.open("a") as file:
            file.write("requeued\n")
        assert child.stdout.readline() == "requeued\n"
        submit(sweep, sweep / "a2", job=15).log(0, 0).write_text("submitted again\n")
        assert child.stdout.readline() == "submitted again\n"
        finish(sweep / "a2")
        assert child.stdout.read() == ""
        assert child.wait(timeout=20) == 0
