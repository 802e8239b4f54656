"""The state of a run, from its folder and one look at the queue."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from rlavr_hpc.runs.find import find_runs
from rlavr_hpc.runs.queue_reasons import why_waiting
from rlavr_hpc.runs.queued_job import QueuedJob
from rlavr_hpc.runs.state_types import State, expand_nodes
from rlavr_hpc.runs.states import RunState, states
from rlavr_hpc.runs.stops import CANCELLATION, Cause, read_stops
from rlavr_hpc.runs.submissions import read_submission
from tests.support.run_folders import (
    NODE,
    NOW,
    beat,
    fail,
    finish,
    make_plan,
    queued,
    stop,
    submit,
)

JOB = "12_0"
QUIET: Sequence[QueuedJob] = ()
"""A queue without a job of mine."""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that was submitted as job 12_0."""
    [folder] = make_plan(tmp_path / "s", "a1")
    submit(tmp_path / "s", folder, job=12)
    return folder


def look(run: Path, queue: Sequence[QueuedJob] | None = QUIET) -> RunState:
    [state] = states(run, queue=queue, now=NOW)
    return state


def started(seconds_ago: float) -> str:
    return datetime.fromtimestamp(NOW - seconds_ago).isoformat(timespec="seconds")  # noqa: DTZ006


# --- in the queue ------------------------------------------------------------------------------


def test_a_job_that_never_ran_is_queued_for_slurms_reason_in_words(run: Path) -> None:
    state = look(run, [queued(JOB, reason="Resources")])
    assert (state.state, state.job) == (State.queued, JOB)
    assert state.reason == "Resources: it is next, when nodes become free"


def test_a_run_with_a_fresh_heartbeat_and_a_job_is_running_and_says_when_it_ends(
    run: Path,
) -> None:
    beat(run, labels_bought=390.0, labels_allowed=1950, accuracy=0.512, risk=0.25)
    state = look(run, [queued(JOB, "RUNNING", start=started(500))])
    assert state.state is State.running
    assert (state.step, state.steps, state.node) == (30, 150, NODE)
    assert state.eta_seconds == 240.0  # 120 steps of 2 s
    assert (state.labels_bought, state.labels_allowed) == (390, 1950)
    assert (state.accuracy, state.risk, state.heartbeat_age) == (0.512, 0.25, 3.0)


def test_a_job_that_has_just_started_runs_whatever_the_last_attempt_said(run: Path) -> None:
    beat(run, "stopped", age=400)
    state = look(run, [queued(JOB, "RUNNING", start=started(60))])
    assert (state.state, state.reason) == (State.running, "starting")


@pytest.mark.parametrize(("age", "expected"), [(880, State.running), (920, State.stalled)])
def test_loading_a_model_may_take_fifteen_minutes(run: Path, age: float, expected: State) -> None:
    beat(run, "starting", age=age)
    assert look(run, [queued(JOB, "RUNNING", start=started(1000))]).state is expected


@pytest.mark.parametrize(("age", "expected"), [(880, State.running), (920, State.stalled)])
def test_a_job_without_any_heartbeat_is_stalled_after_fifteen_minutes(
    run: Path, age: float, expected: State
) -> None:
    assert look(run, [queued(JOB, "RUNNING", start=started(age))]).state is expected


@pytest.mark.parametrize(
    ("pace", "age", "expected"),
    [
        (2.0, 590, State.running),
        (2.0, 610, State.stalled),
        (100.0, 990, State.running),
        (100.0, 1010, State.stalled),
    ],
)
def test_a_run_that_is_silent_for_ten_steps_and_ten_minutes_is_stalled(
    run: Path, pace: float, age: float, expected: State
) -> None:
    beat(run, age=age, seconds_per_step=pace)
    assert look(run, [queued(JOB, "RUNNING", start=started(5000))]).state is expected


def test_a_job_that_waits_after_a_preemption_is_preempted(run: Path) -> None:
    beat(run, "stopped", age=20)
    stop(run, Cause.preempted, age=15, again=True, message="preempted at step 30")
    state = look(run, [queued(JOB, reason="BeginTime")])
    assert state.state is State.preempted
    assert state.reason.startswith("preempted at step 30; BeginTime: ")


def test_a_job_that_waits_after_its_time_limit_is_requeued(run: Path) -> None:
    beat(run, "stopped", age=20)
    stop(run, Cause.time_limit, age=15, again=True)
    assert look(run, [queued(JOB)]).state is State.requeued


def test_a_job_that_was_killed_with_its_script_and_waits_is_requeued(run: Path) -> None:
    beat(run, age=100)
    state = look(run, [queued(JOB)])
    assert state.state is State.requeued
    assert "killed with its batch script" in state.reason


def test_an_older_stop_of_the_job_does_not_explain_why_it_waits_now(run: Path) -> None:
    stop(run, Cause.preempted, age=500, again=True)
    beat(run, age=100, restart=1)
    assert look(run, [queued(JOB)]).state is State.requeued


def test_a_new_job_of_a_run_that_ran_in_another_is_queued(run: Path) -> None:
    stop(run, Cause.crashed, age=500)
    beat(run, "failed", age=501)
    submit(run.parent, run, job=15)
    assert look(run, [queued("15_0")]).state is State.queued


def test_a_job_that_runs_and_whose_process_has_ended_is_ending(run: Path) -> None:
    beat(run, "stopped", age=4)
    state = look(run, [queued(JOB, "COMPLETING")])
    assert (state.state, state.reason) == (State.running, "its job is ending")


# --- zombies -----------------------------------------------------------------------------------


def test_a_fresh_heartbeat_while_the_job_waits_is_a_zombies(run: Path) -> None:
    beat(run, age=3)
    state = look(run, [queued(JOB)])
    assert state.state is State.zombie
    assert f"3 s ago on {NODE}" in state.reason
    assert "job 12_0 waits" in state.reason


def test_a_fresh_heartbeat_without_any_job_is_a_zombies(run: Path) -> None:
    beat(run, age=3)
    assert look(run).state is State.zombie


def test_a_fresh_heartbeat_from_another_node_than_the_jobs_is_a_zombies(run: Path) -> None:
    beat(run, age=3)
    job = queued(JOB, "RUNNING", nodes="n[1-3]", start=started(500))
    assert look(run, [job]).state is State.zombie


def test_a_process_whose_job_ended_seconds_ago_is_no_zombie(run: Path) -> None:
    beat(run, age=8)
    stop(run, Cause.cancelled, age=4)
    assert look(run).state is State.cancelled


def test_slow_steps_keep_a_heartbeat_fresh_for_longer(run: Path) -> None:
    beat(run, age=100, seconds_per_step=40.0)
    assert look(run).state is State.zombie


@pytest.mark.parametrize(
    ("text", "nodes"),
    [
        ("n1", {"n1"}),
        ("n[1-2,4],m07", {"n1", "n2", "n4", "m07"}),
        ("a[08-10]", {"a08", "a09", "a10"}),
    ],
)
def test_slurms_short_form_of_nodes_is_read(text: str, nodes: set[str]) -> None:
    assert expand_nodes(text) == nodes


# --- over --------------------------------------------------------------------------------------


def test_done_is_done_also_while_the_job_still_ends(run: Path) -> None:
    finish(run)
    beat(run, "done", step=150, exit_code=0)
    assert look(run).state is State.done
    assert look(run, [queued(JOB, "RUNNING")]).state is State.done
    assert look(run).step == 150


def test_a_finished_run_of_which_more_steps_are_planned_is_planned(tmp_path: Path) -> None:
    [run] = make_plan(tmp_path / "s", "a1", steps=300)
    finish(run, 150)
    beat(run, "done", step=150)
    state = look(run)
    assert state.state is State.planned
    assert state.reason == "done with 150 steps; 300 are planned now"
    assert state.steps == 300


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (Cause.crashed, State.failed),
        (Cause.mistake, State.failed),
        (Cause.cancelled, State.cancelled),
        (Cause.signalled, State.stopped),
        (Cause.early_warning, State.stopped),
        (Cause.preempted, State.stopped),
    ],
)
def test_a_run_without_a_job_is_what_its_last_stop_says(
    run: Path, cause: Cause, expected: State
) -> None:
    beat(run, "stopped", age=5)
    stop(run, cause, message="in words")
    state = look(run)
    assert (state.state, state.reason) == (expected, "in words")


def test_the_early_warning_says_so(run: Path) -> None:
    beat(run, "stopped", age=5, exit_code=3, job=None)
    shutil.rmtree(run.parent / "slurm")
    state = look(run)
    assert state.state is State.stopped
    assert state.reason == "by the early warning after step 30"


def test_a_preempted_job_that_is_not_in_the_queue_any_more_says_so(run: Path) -> None:
    stop(run, Cause.preempted, again=True, message="preempted", age=120)
    state = look(run)
    assert state.state is State.stopped
    assert state.reason == "preempted; it was to continue by itself, but its job is gone"


def test_a_superseded_process_does_not_speak_for_the_run(run: Path) -> None:
    stop(run, Cause.signalled, message="by hand")
    stop(run, Cause.fenced, restart=1)
    assert look(run).reason == "by hand"


def test_the_stops_of_a_newer_job_count_whatever_the_clocks_say(run: Path) -> None:
    stop(run, Cause.crashed, age=-50)
    stop(run, Cause.signalled, age=100, job="15_0")
    assert look(run).state is State.stopped


def test_a_cancelled_job_is_cancelled_whatever_it_still_wrote(run: Path) -> None:
    stop(run, Cause.cancelled, restart=CANCELLATION, age=30)
    beat(run, "stopped", age=20)
    stop(run, Cause.signalled, age=10)
    assert look(run).state is State.cancelled


def test_a_job_that_was_cancelled_while_it_waited_is_cancelled(run: Path) -> None:
    stop(run, Cause.cancelled, restart=CANCELLATION)
    assert look(run).state is State.cancelled


def test_a_cancellation_is_a_jobs_last_stop_in_the_record(run: Path) -> None:
    stop(run, Cause.cancelled, restart=CANCELLATION, age=30)
    stop(run, Cause.signalled, age=10)
    stop(run, Cause.crashed, age=5, job="15_0")
    assert [s.cause for s in read_stops(run)] == [Cause.signalled, Cause.cancelled, Cause.crashed]


def test_a_run_that_says_running_without_a_job_has_vanished(run: Path) -> None:
    beat(run, age=7200)
    state = look(run)
    assert state.state is State.failed
    assert state.reason.startswith("vanished: its last heartbeat, 2 h ago, says running")


def test_a_run_that_ended_with_a_word_tells_it(run: Path) -> None:
    beat(run, age=7200)
    fail(run, "RuntimeError: no luck", age=7199)
    assert look(run).reason == "RuntimeError: no luck"


def test_a_heartbeat_of_a_later_start_outweighs_an_older_stop(run: Path) -> None:
    stop(run, Cause.preempted, age=9000, again=True)
    beat(run, age=7200, restart=1)
    assert look(run).state is State.failed


# --- plans and submissions ----------------------------------------------------------------------


def test_a_planned_run_without_a_submission_is_planned(tmp_path: Path) -> None:
    [run] = make_plan(tmp_path / "s", "a1", steps=150, labels_allowed=1950)
    state = look(run)
    assert (state.state, state.job, state.attempts) == (State.planned, None, 0)
    assert (state.steps, state.labels_allowed) == (150, 1950)


def test_a_submitted_run_whose_job_slurm_has_forgotten_is_planned(run: Path) -> None:
    state = look(run)
    assert (state.state, state.job) == (State.planned, JOB)
    assert "does not know its job 12_0 any more" in state.reason


def test_an_orphaned_submission_is_found_by_its_tag_and_put_on_record(tmp_path: Path) -> None:
    [_, run] = make_plan(tmp_path / "s", "a1", "a2")
    submission = submit(tmp_path / "s", tmp_path / "s/a1", run, job=None)
    state = look(run, [queued("12_0", comment="x"), queued("40_1", comment=submission.tag)])
    assert (state.state, state.job) == (State.queued, "40_1")
    assert read_submission(submission.folder).job == 40


def test_the_newest_submission_wins_and_an_older_one_only_if_it_alone_is_queued(
    run: Path,
) -> None:
    submit(run.parent, run, job=15)
    assert look(run, [queued("12_0"), queued("15_0")]).job == "15_0"
    assert look(run, [queued("12_0")]).job == "12_0"
    assert look(run).job == "15_0"


def test_a_sweep_that_was_moved_finds_its_jobs(run: Path, tmp_path: Path) -> None:
    moved = (tmp_path / "s").rename(tmp_path / "t")
    assert look(moved / "a1", [queued(JOB)]).state is State.queued


def test_a_root_holds_planned_and_other_runs_and_no_code_or_configs(tmp_path: Path) -> None:
    make_plan(tmp_path / "runs/s", "b", "a")
    beat(tmp_path / "runs/single")
    (tmp_path / "runs/s/copies").mkdir()
    beat(tmp_path / "runs/s/copies/of_a_run")
    for elsewhere in ("runs/s/code/conf", "runs/conf"):
        (tmp_path / elsewhere).mkdir(parents=True)
        (tmp_path / elsewhere / "config.yaml").write_text("defaults: []\n")
    found = [run.name for run in find_runs(tmp_path) if not run.foreign]
    assert found == ["runs/s/b", "runs/s/a", "runs/s/copies/of_a_run", "runs/single"]


def test_only_differing_overrides_tell_runs_apart(tmp_path: Path) -> None:
    make_plan(tmp_path / "s", "a1", "a2")
    told = states(tmp_path, queue=QUIET, now=NOW)
    assert [(run.name, run.overrides) for run in told] == [
        ("s/a1", ("seed=0",)),
        ("s/a2", ("seed=1",)),
    ]


# --- without Slurm ------------------------------------------------------------------------------


def local(run: Path, **facts: Any) -> Path:  # noqa: ANN401
    """A run that no job had."""
    run.mkdir()
    beat(run, job=None, restart=None, node=None, **facts)
    return run


def test_a_local_run_is_running_while_its_heartbeat_is_fresh(tmp_path: Path) -> None:
    run = local(tmp_path / "r", age=30)
    assert look(run, None).state is State.running
    assert look(run, QUIET).state is State.running


def test_a_local_run_elsewhere_that_is_silent_has_vanished(tmp_path: Path) -> None:
    assert look(local(tmp_path / "r", age=3600), None).state is State.failed


def test_a_local_run_on_this_host_is_seen_by_its_process(tmp_path: Path) -> None:
    here = {"host": socket.gethostname(), "time": 4e9}
    alive = local(tmp_path / "a", pid=os.getpid(), **here)
    assert states(alive, queue=None, now=4e9)[0].state is State.running
    dead = local(tmp_path / "b", pid=2**22 + 1, **here)
    assert states(dead, queue=None, now=4e9)[0].state is State.failed


def test_another_process_that_has_got_the_pid_is_not_the_run(tmp_path: Path) -> None:
    run = local(tmp_path / "r", pid=os.getpid(), host=socket.gethostname(), time=1e9)
    assert states(run, queue=None, now=1e9 + 3)[0].state is State.failed


def test_without_slurm_a_preempted_job_is_said_to_wait_as_its_record_says(run: Path) -> None:
    stop(run, Cause.preempted, again=True, message="preempted", age=120)
    state = look(run, None)
    assert state.state is State.preempted
    assert "not known here" in state.reason


@pytest.mark.parametrize(("age", "expected"), [(60, State.running), (7200, State.stalled)])
def test_while_slurm_does_not_answer_a_jobs_heartbeat_decides_and_nothing_is_called_failed(
    run: Path, age: float, expected: State
) -> None:
    beat(run, age=age)
    assert look(run, None).state is expected


# --- damage -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", '{"version": 9}', '{"version": 1}', '"\\ud800', "\xff\xfe"]
)
def test_a_torn_heartbeat_is_told_and_nothing_crashes(run: Path, text: str) -> None:
    (run / "status.json").write_bytes(text.encode("latin-1"))
    state = look(run)
    assert "status.json cannot be used" in state.reason


def test_damaged_plans_stops_and_submissions_are_told_and_nothing_crashes(run: Path) -> None:
    stop(run, Cause.crashed)
    (run / "stops/12_0.0.json").write_text("{")
    assert "12_0.0.json cannot be used" in look(run).reason
    (run.parent / "slurm/1/tasks.json").write_text("{")
    assert "tasks.json" in look(run).reason
    (run.parent / "sweep.json").write_text(json.dumps({"version": 1, "runs": 3}))
    told = states(run.parent, queue=QUIET, now=NOW)
    assert any("sweep.json cannot be used" in state.reason for state in told)


def test_a_file_where_a_run_should_be_is_no_crash(tmp_path: Path) -> None:
    [run] = make_plan(tmp_path / "s", "a1")
    shutil.rmtree(run)
    run.write_text("")
    [state] = states(tmp_path / "s", queue=QUIET, now=NOW)
    assert (state.state, state.name) == (State.unknown, "a1")
    assert state.reason.endswith("a1 cannot be read: Not a directory")


# --- reasons ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("(Priority)", "others are before it"),
        ("QOSMaxJobsPerUserLimit", "as many of your jobs run as your QOS allows"),
        ("AssocGrpGRES", "your account's jobs use as much as it allows to all of its users"),
        ("QOSMaxWallDurationPerJobLimit", "more time than your QOS allows, so it never starts"),
        ("DependencyNeverSatisfied", "has failed, so it never starts"),
        ("PartitionTimeLimit", "asks for more time than its partition allows"),
        ("ReqNodeNotAvail, UnavailableNodes:n1", "down, drained or reserved"),
        ("SomethingNew", "Slurm says SomethingNew"),
    ],
)
def test_slurms_reasons_are_put_into_words(reason: str, words: str) -> None:
    assert words in why_waiting(queued(JOB, reason=reason))


def test_a_run_whose_time_limit_was_too_short_too_often_has_failed(run: Path) -> None:
    stop(run, Cause.time_limit, age=15, again=False)
    assert look(run).state is State.failed


def test_a_run_that_was_to_go_on_after_its_time_limit_but_lost_its_job_has_stopped(
    run: Path,
) -> None:
    stop(run, Cause.time_limit, age=120, again=True)
    assert look(run).state is State.stopped


def test_a_job_that_slurm_lists_nowhere_in_the_moment_of_its_requeue_has_not_lost_it(
    run: Path,
) -> None:
    stop(run, Cause.preempted, age=2, again=True)
    assert look(run).state is State.preempted
