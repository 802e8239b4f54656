"""Why a run is where it is: causes, clues, first failures, and what to do."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from rlavr_hpc.commands.why import in_words
from rlavr_hpc.overview.error_signatures import (
    first_rank,
    match_signatures,
    signal_in_words,
    signal_of,
)
from rlavr_hpc.overview.failure_causes import FailureCause, explain
from rlavr_hpc.runs.states import states
from rlavr_hpc.runs.stops import CANCELLATION, Cause
from tests.support.commands import rlavr
from tests.support.fake_slurm import FakeSlurm
from tests.support.run_folders import NOW, beat, fail, make_plan, queued, stop, submit

ENDED = "*** JOB 9 ON n1 CANCELLED AT 2026-11-23T18:22:00"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of job 12_0 with empty logs."""
    [folder] = make_plan(tmp_path / "s", "a1")
    submission = submit(tmp_path / "s", folder, job=12)
    for rank in (None, 0, 1):
        submission.log(0, rank).write_text("")
    return folder


def log(run: Path, text: str, *, rank: int | None = None) -> None:
    end = ".log" if rank is None else f"_{rank}_log.out"
    (run.parent / f"slurm/1/log/12_0{end}").write_text(text)


def why(run: Path, *, job_state: str = "") -> FailureCause:
    [state] = states(run, queue=(), now=NOW)
    return explain(state, job_state=job_state)


def names(found: FailureCause) -> list[str]:
    return [signature.name for signature in found.clues]


def test_the_rank_that_failed_first_is_told_with_its_traceback(run: Path) -> None:
    beat(run, "failed", age=10)
    fail(run, "RuntimeError: Connection closed by peer", age=8, rank=0)
    fail(run, "ValueError: no luck", age=9, rank=1, traceback="Traceback:\n  line 3\n")
    stop(run, Cause.crashed, age=5, message="crashed")
    text = "\n".join(in_words(why(run), "s/a1"))
    assert "rank 1 on n7 failed first: ValueError: no luck\n  Traceback:\n    line 3" in text
    assert "Connection closed" not in text
    assert "next: rlavr retry s/a1" in text


def test_failures_of_earlier_starts_have_been_got_over(run: Path) -> None:
    beat(run, "failed", age=10, restart=1)
    fail(run, "ValueError: long ago", age=900, start="12_0.0")
    stop(run, Cause.crashed, age=5, restart=1)
    assert why(run).failure is None
    fail(run, "ValueError: now", age=9, start="12_0.1")
    found = why(run).failure
    assert found is not None
    assert found.error == "ValueError: now"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", "gpu_memory"),
        ("slurmstepd: error: Detected 1 oom-kill event(s) in StepId=9.0", "memory"),
        ("slurmstepd: error: Exceeded job memory limit at some point", "memory"),
        ("slurmstepd-n2: error: Job 2 exceeded memory limit (9 > 8), being killed", "memory"),
        ("srun: error: n1: task 0: Out Of Memory", "memory"),
        ("torch.distributed.DistNetworkError: The client socket has timed out", "rendezvous"),
        ("ncclSystemError: System call failed", "rendezvous"),
        ("RuntimeError: [gloo/transport/tcp/pair.cc:534] Connection closed by peer", "rendezvous"),
        ("OSError: [Errno 98] Address already in use", "port"),
        ("OSError: [Errno 28] No space left on device: 'x'", "disk"),
        ("OSError: [Errno 122] Disk quota exceeded", "disk"),
        ("RuntimeError: No CUDA GPUs are available", "gpu"),
        ("ModuleNotFoundError: No module named 'torch'", "module"),
        (f"slurmstepd: error: {ENDED} DUE TO TIME LIMIT ***", "time"),
        (f"slurmstepd-n1: error: {ENDED} DUE TO JOB REQUEUE ***", "ended"),
        (f"slurmstepd-n1: error: {ENDED} ***", "ended"),
        ("slurmstepd-n1: error: *** STEP 6.0 ON n1 CANCELLED AT 2026-11-23T18:22:00 ***", None),
        ("OSError: [Errno 116] Stale file handle", "stale"),
        ("ValueError: a step of 64 prompts, accuracy 0.5 of memory", None),
    ],
)
def test_known_troubles_are_known_by_their_marks(text: str, name: str | None) -> None:
    assert [signature.name for signature in match_signatures([text])] == (
        [] if name is None else [name]
    )


@pytest.mark.parametrize("code", [137, -9])
def test_a_kill_without_a_mark_is_most_often_memory(code: int) -> None:
    assert [signature.name for signature in match_signatures([""], exit_code=code)] == ["killed"]
    assert [signature.name for signature in match_signatures(["oom_kill"], exit_code=code)] == [
        "memory"
    ]


@pytest.mark.parametrize(
    ("code", "number", "words"),
    [
        (143, 15, "signal 15, SIGTERM"),
        (-9, 9, "signal 9, SIGKILL"),
        (1, None, ""),
        (0, None, ""),
        (255, None, ""),
    ],
)
def test_exit_codes_tell_of_signals(code: int, number: int | None, words: str) -> None:
    assert (signal_of(code), signal_in_words(code)) == (number, words)


def test_srun_tells_which_rank_ended_first_and_victims_do_not_count() -> None:
    lines = [
        "srun: error: n1: task 0: Terminated",
        "srun: error: n2: tasks 3-4: Killed",
        "srun: error: n2: task 1: Exited with exit code 1",
    ]
    assert first_rank(lines) == (3, "Killed on n2")
    assert first_rank(["nothing"]) is None


def test_a_killed_rank_is_named_by_sruns_words_with_the_end_of_its_log(run: Path) -> None:
    beat(run, age=60)
    stop(run, Cause.crashed, exit_code=137, age=50, message="killed")
    log(run, "srun: error: n1: task 0: Terminated\nsrun: error: n2: task 1: Killed\n")
    log(run, "step 1\r 50%\r 60%\nlast words\n", rank=1)
    found = why(run)
    assert found.killed == (1, "Killed on n2")
    assert list(found.last_lines) == [" 60%", "last words"]
    assert names(found) == ["killed"]
    text = "\n".join(in_words(found, "s/a1"))
    assert "exit code 137: signal 9, SIGKILL" in text
    assert "rank 1 ended first: Killed on n2" in text


def test_slurms_own_state_of_the_job_tells_of_memory(run: Path) -> None:
    beat(run, age=60)
    stop(run, Cause.crashed, exit_code=137, age=50)
    assert names(why(run, job_state="OUT_OF_MEMORY")) == ["memory"]


def test_memory_that_slurm_tells_of_counts_beside_a_ranks_own_error(run: Path) -> None:
    fail(run, "RuntimeError: DataLoader worker died", age=9)
    stop(run, Cause.crashed, age=5)
    log(run, "slurmstepd: error: Detected 1 oom_kill event in StepId=9.0\n")
    assert names(why(run)) == ["memory"]


def test_a_mistake_is_told_in_its_own_words_without_guesses(run: Path) -> None:
    fail(run, "data.path=x: No space left on device is what it says", exit_code=2)
    stop(run, Cause.mistake, exit_code=2, message="the config cannot work")
    found = why(run)
    assert names(found) == []
    text = "\n".join(in_words(found, "s/a1"))
    assert "data.path=x" in text
    assert "after you have fixed the mistake" in text


def test_crashes_in_a_row_are_counted(run: Path) -> None:
    stop(run, Cause.crashed, failures=3)
    assert "3 crashes in a row" in "\n".join(in_words(why(run), "s/a1"))


def test_a_cancelled_run_is_not_explained_by_what_its_ranks_said_while_they_died(run: Path) -> None:
    fail(run, "RuntimeError: Connection closed by peer", age=3)
    stop(run, Cause.cancelled, restart=CANCELLATION, age=5, message="cancelled by me")
    found = why(run)
    assert (found.failure, names(found)) == (None, [])
    assert "cancelled by me" in "\n".join(in_words(found, "s/a1"))


def test_the_early_warning_says_so(run: Path) -> None:
    stop(run, Cause.early_warning, exit_code=3, message="collapse/risk 0.61")
    assert "early warning: collapse/risk 0.61" in "\n".join(in_words(why(run), "s/a1"))


def test_a_run_that_vanished_in_a_later_start_is_not_explained_by_an_older_stop(run: Path) -> None:
    stop(run, Cause.preempted, age=9000, again=True)
    beat(run, age=7200, restart=1)
    assert why(run).cause is None


def test_the_command_says_that_a_healthy_run_is_well(run: Path, tmp_path: Path) -> None:
    slurm = FakeSlurm(tmp_path / "bin")
    slurm.has(queued("12_0", "RUNNING"))
    beat(run, time=time.time())
    done = rlavr("why", str(run), environment=slurm.environment)
    assert done.returncode == 0
    assert "it is well, at step 30 of 150" in done.stdout


def test_the_command_says_why_a_job_waits_and_gives_json(run: Path, tmp_path: Path) -> None:
    slurm = FakeSlurm(tmp_path / "bin")
    slurm.has(queued("12_0", reason="BeginTime"))
    stop(run, Cause.preempted, again=True, message="preempted at step 30")
    done = rlavr("why", str(run), "--json", environment=slurm.environment)
    told = json.loads(done.stdout)
    assert (told["run"]["state"], told["cause"]) == ("preempted", "preempted")
    assert told["next"] == [f"rlavr start-now {run}"]


def test_one_run_must_be_named(tmp_path: Path) -> None:
    make_plan(tmp_path / "s", "a1", "a2")
    done = rlavr("why", str(tmp_path), environment=FakeSlurm(tmp_path / "b").environment)
    assert done.returncode == 2
    assert f"holds 2 runs; name one: {tmp_path}/s/a1, {tmp_path}/s/a2" in done.stderr


def test_what_slurm_remembers_of_the_job_is_asked(run: Path, tmp_path: Path) -> None:
    slurm = FakeSlurm(tmp_path / "bin")
    slurm.says("scontrol", "JobId=13 ArrayJobId=12 JobState=OUT_OF_MEMORY Reason=OutOfMemory\n")
    stop(run, Cause.crashed, exit_code=137)
    done = rlavr("why", str(run), environment=slurm.environment)
    assert "looks like: the memory that the job requested was used up" in done.stdout
    assert "scontrol show job -o 12_0" in slurm.asked
