"""Runs that wait for labels, in memory or parked: what state they are in, and what commands do."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rlavr_hpc.cluster import outcomes
from rlavr_hpc.commands.why import next_for_labels
from rlavr_hpc.config.labels import LabelsConfig, Pending
from rlavr_hpc.errors import ExitCode, LabelsPendingError
from rlavr_hpc.overview import status_query
from rlavr_hpc.overview.release_parked import wants_labels
from rlavr_hpc.overview.status_table import as_table
from rlavr_hpc.overview.wait_for_end import end_code
from rlavr_hpc.runs.heartbeat import Heartbeat, read_heartbeat
from rlavr_hpc.runs.queued_job import QueuedJob
from rlavr_hpc.runs.state_types import State, WaitsIn
from rlavr_hpc.runs.states import RunState, run_state, states
from rlavr_hpc.runs.stops import Cause, read_stops
from rlavr_hpc.trainer import distributed
from rlavr_hpc.trainer.stages import wait_for_labels
from rlavr_hpc.types import StepKey
from tests.support.commands import rlavr
from tests.support.fake_slurm import FakeSlurm, without_slurm
from tests.support.run_folders import NODE, NOW, beat, make_plan, queued, stop, submit

HELD = "job requeued in held state"
PENDING: dict[str, Any] = {"pending": 24, "source": "people"}
WORDS = "24 labels pending for 3 h, from people"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that was submitted as job 12_0."""
    [folder] = make_plan(tmp_path / "s", "a1", steps=150)
    submit(tmp_path / "s", folder, job=12)
    return folder


@pytest.fixture
def slurm(tmp_path: Path) -> FakeSlurm:
    return FakeSlurm(tmp_path / "bin")


def look(run: Path, queue: Sequence[QueuedJob] | None = ()) -> RunState:
    [state] = states(run, queue=queue, now=NOW)
    return state


def waiting(run: Path, **facts: Any) -> None:  # noqa: ANN401
    beat(run, "waiting", **{**PENDING, "pending_since": NOW - 3 * 3600, **facts})


def parked(run: Path, *, now: float = NOW, **facts: Any) -> None:  # noqa: ANN401
    """As a run and its batch script leave it."""
    told: dict[str, Any] = {"time": now - 100, "exit_code": 76, "pending_since": now - 3 * 3600}
    beat(run, "parked", **{**PENDING, **told, **facts})
    stop(run, Cause.waiting_for_labels, time=now - 90, again=True, exit_code=76)


def parked_locally(run: Path, *, now: float = NOW) -> None:
    nowhere: dict[str, Any] = {"job": None, "restart": None, "node": None}
    since = now - 3 * 3600
    beat(run, "parked", time=now - 100, exit_code=76, pending_since=since, **PENDING, **nowhere)


# --- the heartbeat -------------------------------------------------------------------------------


def test_what_a_run_waits_for_stays_told_when_it_ends_and_not_when_it_runs_again(
    tmp_path: Path,
) -> None:
    heart = Heartbeat(tmp_path, 1, 150)
    begun = time.time()
    heart.wait(step=4, pending=24, source="people")
    told = read_heartbeat(tmp_path).heartbeat
    assert told is not None
    assert told.alive
    assert (told.state, told.pending, told.source) == ("waiting", 24, "people")
    assert told.pending_since is not None
    assert told.pending_since >= begun
    heart.beat("stopped", step=4, exit_code=75)
    stopped = read_heartbeat(tmp_path).heartbeat
    assert stopped is not None
    assert (stopped.alive, stopped.pending) == (False, 24)
    heart = Heartbeat(tmp_path, 2, 150)
    heart.beat("starting", step=4)
    again = read_heartbeat(tmp_path).heartbeat
    assert again is not None
    assert (again.pending, again.pending_since, again.source) == (None, None, None)
    heart._last_write = 0.0
    heart.wait(step=4, pending=7, source="people")
    still = read_heartbeat(tmp_path).heartbeat
    assert still is not None
    assert (still.pending, still.pending_since) == (7, told.pending_since), "since the first wait"
    heart._last_write = 0.0
    heart.beat("running", step=5)
    after = read_heartbeat(tmp_path).heartbeat
    assert after is not None
    assert (after.pending, after.pending_since) == (None, None)


def test_a_parked_run_has_ended_and_tells_its_exit_code(tmp_path: Path) -> None:
    Heartbeat(tmp_path, 1, 150).beat("parked", step=4, exit_code=76, pending=3, source="judge")
    told = read_heartbeat(tmp_path).heartbeat
    assert told is not None
    assert (told.alive, told.parked, told.exit_code, told.pending) == (False, True, 76, 3)
    Heartbeat(tmp_path, 1, 150).beat("stopped", step=4, exit_code=76)
    left = read_heartbeat(tmp_path).heartbeat
    assert left is not None
    assert left.parked, "by its exit code"
    assert LabelsPendingError("no").exit_code == 76


def test_the_hours_of_waiting_are_no_pace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heart = Heartbeat(tmp_path, 1, 150)
    clock = iter([100.0, 102.0, 9000.0, 9002.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    for step in (1, 2, 3, 4):
        heart._last_write = 0.0
        heart.beat("running", step=step)
        if step == 2:
            heart.wait(step=2, pending=1, source="people")
    told = read_heartbeat(tmp_path).heartbeat
    assert told is not None
    assert told.seconds_per_step == 2.0


# --- the state -----------------------------------------------------------------------------------


def test_a_run_that_waits_in_memory_says_for_what_and_where(run: Path) -> None:
    waiting(run)
    started = datetime.fromtimestamp(NOW - 9000).isoformat(timespec="seconds")  # noqa: DTZ006
    state = look(run, [queued("12_0", "RUNNING", start=started)])
    assert (state.state, state.waits_in) == (State.waiting_for_labels, WaitsIn.memory)
    assert state.reason == f"{WORDS}; in memory on node {NODE}"
    assert (state.pending, state.pending_since, state.source) == (24, NOW - 3 * 3600, "people")
    assert (state.is_active, state.node, state.eta_seconds) == (True, NODE, None)


def test_so_does_one_without_slurm(tmp_path: Path) -> None:
    waiting(tmp_path / "r", time=time.time(), pid=os.getpid(), host=platform.node(), job=None)
    state = run_state(tmp_path / "r", queue=None)
    assert (state.state, state.waits_in) == (State.waiting_for_labels, WaitsIn.memory)


def test_a_run_that_waits_in_silence_is_stalled(run: Path) -> None:
    waiting(run, age=700)
    assert look(run, [queued("12_0", "RUNNING")]).state is State.stalled


@pytest.mark.parametrize("reason", [HELD, "JobHeldUser"])
def test_a_parked_run_waits_for_labels_while_its_job_is_held(run: Path, reason: str) -> None:
    parked(run)
    state = look(run, [queued("12_0", reason=reason)])
    assert (state.state, state.waits_in) == (State.waiting_for_labels, WaitsIn.queue)
    assert state.reason == f"{WORDS}; no process holds a node"
    assert (state.is_active, state.node, state.job) == (False, None, "12_0")


def test_a_parked_run_that_was_released_waits_for_a_node_like_any_other(run: Path) -> None:
    parked(run)
    state = look(run, [queued("12_0", reason="Resources")])
    assert (state.state, state.waits_in, state.pending) == (State.requeued, None, None)
    assert state.reason.startswith("parked for labels and released; Resources: ")


def test_a_job_that_is_held_for_another_reason_waits_for_no_labels(run: Path) -> None:
    beat(run, "stopped", age=20)
    stop(run, Cause.preempted, age=15, again=True)
    state = look(run, [queued("12_0", reason=HELD)])
    assert state.state is State.preempted
    assert "`rlavr start-now` lets it go" in state.reason


def test_a_parked_run_without_slurm_waits_in_its_folder(tmp_path: Path) -> None:
    parked_locally(tmp_path / "r")
    for queue in (None, ()):
        state = look(tmp_path / "r", queue)
        assert (state.state, state.waits_in) == (State.waiting_for_labels, WaitsIn.folder)
        assert state.reason.startswith(f"{WORDS}; no process holds a node")


def test_a_parked_run_is_on_its_way_into_the_queue_for_a_minute_and_then_its_job_is_gone(
    run: Path,
) -> None:
    parked(run, now=NOW + 50)
    moment = look(run)
    assert (moment.state, moment.waits_in) == (State.waiting_for_labels, WaitsIn.queue)
    parked(run)
    gone = look(run)
    assert (gone.state, gone.waits_in) == (State.stopped, None)
    assert "its job is gone" in gone.reason
    elsewhere = look(run, None)
    assert elsewhere.state is State.waiting_for_labels
    assert "not known here" in elsewhere.reason


def test_one_whose_batch_script_was_killed_first_is_held_or_gone_all_the_same(run: Path) -> None:
    parked(run)
    (run / "stops/12_0.0.json").unlink()
    assert look(run, [queued("12_0", reason=HELD)]).waits_in is WaitsIn.queue
    assert look(run).state is State.stopped


# --- commands ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("source", "verb"), [("people", "labels desk"), ("judge", "labels serve")])
def test_status_and_why_name_the_command_that_brings_the_labels(
    source: str, verb: str, tmp_path: Path
) -> None:
    parked(tmp_path / "r", now=time.time(), source=source, job=None)
    seen = look(tmp_path / "r", None)
    assert f"rlavr {verb} runs  # " in as_table([seen], "runs")
    assert next_for_labels(WaitsIn.folder, source, "runs/r")[0][0] == f"rlavr {verb} runs/r"


def test_a_parked_run_whose_labels_have_all_come_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parked_locally(tmp_path / "r")
    seen = look(tmp_path / "r", None)
    for lacking, told in ((None, False), (1, False), (0, True)):
        monkeypatch.setattr(status_query, "labels_lacking", lambda run_dir, n=lacking: n)
        assert (status_query.ALL_THERE in status_query.with_arrivals(seen).reason) is told


def test_a_run_of_no_sweep_is_told_to_repeat_its_own_command(tmp_path: Path) -> None:
    beat(tmp_path / "r", "stopped", job=None)
    seen = replace(look(tmp_path / "r", None), state=State.stopped, job=None, overrides=())
    assert "give the run's command again" in as_table([seen], "runs")
    planned = replace(seen, overrides=("seed=1",))
    assert "give the sweep's command again" in as_table([planned], "runs")


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """One process, without a process group."""
    monkeypatch.setattr(distributed, "on_main", lambda work: work())
    monkeypatch.setattr(distributed, "abort_together", lambda stop: None)


@dataclass
class FakeClock:
    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        yield


def a_step(run_dir: Path, **labels: Any) -> Any:  # noqa: ANN401
    stop = SimpleNamespace(received=None)
    components = SimpleNamespace(
        config=SimpleNamespace(labels=LabelsConfig(**labels)),
        run_dir=run_dir,
        market=None,
        heartbeat=None,
        deadline=SimpleNamespace(stop=stop),
    )
    return SimpleNamespace(components=components, key=StepKey(seed=1, step=3), clock=FakeClock())


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(("source", "verb"), [("people", "labels desk"), ("judge", "labels serve")])
def test_a_waiting_run_says_once_for_what_and_which_command_brings_it(
    source: str, verb: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wait_for_labels, "TOLD_AFTER", 0.0)
    looks = iter([["a"], ["a"], []])
    with caplog.at_level("INFO", "rlavr_hpc"):
        wait_for_labels.wait_for_labels(
            a_step(Path("runs/r"), name=source),
            cast("Any", SimpleNamespace(pending=["a", "b"])),
            lambda: cast("Any", SimpleNamespace(pending=next(looks))),
        )
    [line] = [record.getMessage() for record in caplog.records]
    assert line == (
        f"waiting for 2 labels of step 3 from {source}: `rlavr {verb} runs/r` brings them; "
        "after 10 min the run parks"
    )


@pytest.mark.usefixtures("alone")
def test_a_run_that_parks_names_the_command_that_brings_its_labels() -> None:
    step = a_step(Path("runs/r"), name="people", pending=Pending.park, poll=1e-9)
    some = cast("Any", SimpleNamespace(pending=["a"]))
    with pytest.raises(LabelsPendingError, match="`rlavr labels desk runs/r` brings them"):
        wait_for_labels.wait_for_labels(step, some, lambda: some)


def test_a_run_that_asks_by_itself_names_no_command() -> None:
    some = cast("Any", SimpleNamespace(pending=["a"]))
    step = a_step(Path("runs/r"), name="command", inline=True)
    assert "which this run asks by itself" in wait_for_labels.waiting(step, some)


def test_status_tells_what_is_waited_for_and_how_it_goes_on(run: Path, slurm: FakeSlurm) -> None:
    parked(run, now=time.time())
    slurm.has(queued("12_0", reason=HELD))
    table = rlavr("status", str(run), environment=slurm.environment).stdout
    assert "waiting for labels" in table.splitlines()[1]
    assert "1 run: 1 waiting for labels" in table
    assert f"waiting for labels {run.name}: {WORDS}; no process holds a node" in table
    assert f"rlavr labels desk {run}" in table
    told = json.loads(rlavr("status", str(run), "--json", environment=slurm.environment).stdout)
    assert (told["state"], told["waits_in"]) == ("waiting for labels", "queue")
    assert (told["pending"], told["source"]) == (24, "people")


def test_a_run_parked_without_slurm_says_that_its_command_goes_on(tmp_path: Path) -> None:
    parked_locally(tmp_path / "r", now=time.time())
    alone = without_slurm(tmp_path / "no")
    table = rlavr("status", str(tmp_path / "r"), environment=alone).stdout
    assert "give a parked run's command again" in table
    why = rlavr("why", str(tmp_path / "r"), environment=alone).stdout
    assert "then start the same command again" in why


def test_waiting_for_the_end_goes_on_while_somebody_may_release_the_run(
    run: Path, tmp_path: Path
) -> None:
    parked(run)
    assert end_code(look(run, [queued("12_0", reason=HELD)])) is None
    waiting(tmp_path / "r", time=NOW, job=None)
    assert end_code(look(tmp_path / "r", None)) is None
    parked_locally(tmp_path / "q")
    assert end_code(look(tmp_path / "q", None)) is ExitCode.WAITING_FOR_LABELS


def test_why_says_how_a_parked_run_goes_on(run: Path, slurm: FakeSlurm) -> None:
    parked(run, now=time.time())
    slurm.has(queued("12_0", reason=HELD))
    told = json.loads(rlavr("why", str(run), "--json", environment=slurm.environment).stdout)
    assert (told["cause"], told["crashes"], told["clues"]) == ("waiting_for_labels", 0, [])
    assert told["next"] == [f"rlavr labels desk {run}", f"rlavr start-now {run}"]


def test_cancel_ends_a_held_job_for_good(run: Path, slurm: FakeSlurm) -> None:
    parked(run, now=time.time())
    slurm.has(queued("12_0", reason=HELD))
    done = rlavr("cancel", str(run), environment=slurm.environment)
    assert done.stdout == f"{run.name}: job 12_0 cancelled (was waiting for labels, step 30)\n"
    assert done.returncode == 0
    assert read_stops(run)[-1].cause is Cause.cancelled
    assert run_state(run, queue=()).state is State.cancelled


def test_cancel_of_a_run_parked_without_slurm_ends_its_waiting_until_it_is_started_again(
    tmp_path: Path, slurm: FakeSlurm
) -> None:
    parked_locally(tmp_path / "r", now=time.time())
    done = rlavr("cancel", str(tmp_path / "r"), environment=slurm.environment)
    assert done.returncode == 0
    assert "r: cancelled (was parked without a job, step 30): nothing is asked" in done.stdout
    state = run_state(tmp_path / "r", queue=None)
    assert (state.state, state.waits_in) == (State.cancelled, None)
    assert not wants_labels(tmp_path / "r")
    why = rlavr("why", str(tmp_path / "r"), environment=slurm.environment).stdout
    assert "next: start the same command again" in why
    Heartbeat(tmp_path / "r", 2, 150).beat("starting", step=30)
    assert wants_labels(tmp_path / "r"), "its next attempt is not cancelled"


def test_cancel_of_a_parked_run_whose_job_is_gone_ends_its_waiting_too(
    run: Path, slurm: FakeSlurm
) -> None:
    parked(run, now=time.time())
    assert wants_labels(run)
    done = rlavr("cancel", str(run), environment=slurm.environment)
    assert "cancelled (was parked without a job" in done.stdout
    assert look(run).state is State.cancelled
    assert not wants_labels(run)


def test_start_now_releases_a_held_job_and_starts_it(run: Path, slurm: FakeSlurm) -> None:
    parked(run, now=time.time())
    slurm.has(queued("12_0", reason=HELD))
    done = rlavr("start-now", str(run), environment=slurm.environment)
    assert [line for line in slurm.asked if "scontrol" in line] == [
        "scontrol release 12_0",
        "scontrol update JobId=12_0 StartTime=now",
    ]
    assert done.stdout == f"{run.name}: job 12_0 may start now, with 24 labels pending\n"


def test_start_now_leaves_a_job_that_somebody_holds_for_another_reason(
    run: Path, slurm: FakeSlurm
) -> None:
    beat(run, "stopped", time=time.time() - 60)
    stop(run, Cause.preempted, time=time.time() - 50, again=True)
    slurm.has(queued("12_0", reason="JobHeldUser"))
    done = rlavr("start-now", str(run), environment=slurm.environment)
    assert not any(line.startswith("scontrol") for line in slurm.asked)
    assert "waits for something else: JobHeldUser" in done.stdout


def test_retry_leaves_a_parked_run_alone_and_says_what_releases_it(
    run: Path, slurm: FakeSlurm
) -> None:
    parked(run, now=time.time())
    slurm.has(queued("12_0", reason=HELD))
    of_sweep = rlavr("retry", str(run.parent), environment=slurm.environment)
    assert "nothing failed or was cancelled" in of_sweep.stdout
    named = rlavr("retry", str(run), environment=slurm.environment)
    assert named.returncode == 2
    assert f"`rlavr start-now {run}` releases its job" in named.stderr


@pytest.mark.parametrize(
    ("codes", "together"),
    [
        ([], 0),
        ([0, 0], 0),
        ([0, 76], 76),
        ([76, 1], 1),
        ([2, 76, 0], 2),
        ([75, 76], 75),
        ([1, 2], 2),
    ],
)
def test_a_sweep_with_a_parked_run_ends_with_76_unless_another_failed_or_was_stopped(
    codes: list[int], together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcomes, "OUTCOMES", [ExitCode(code) for code in codes])
    assert outcomes.outcome() == together
