"""Runs whose labels come later: parked runs hold no node, and what Slurm does to waiting ones."""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path

import pytest

from benchmarks.sameness import first_difference
from rlavr_hpc.cluster.slurm.commands import queue
from rlavr_hpc.runs.heartbeat import LastHeartbeat, read_heartbeat
from rlavr_hpc.runs.queue_reasons import is_held
from rlavr_hpc.runs.state_types import State, WaitsIn
from rlavr_hpc.runs.states import RunState, run_state
from rlavr_hpc.runs.submissions import submissions
from tests.slurm import scenes
from tests.slurm.conftest import Cluster
from tests.slurm.scenes import SHORT_LEAD, launch
from tests.support.commands import CARE, TINY, rlavr

wait_for = partial(scenes.wait_for, seconds=900.0)
"""Four runs start on two nodes that share one machine."""
STEPS = 2
FEW = (
    *TINY,
    *CARE,
    "rollout=hf",
    f"steps={STEPS}",
    "eval_every=0",
    "save_every=1",
)
PROGRAM = """
import json, pathlib, sys
seen = pathlib.Path(sys.argv[1])
for number, line in enumerate(sys.stdin):
    key = json.loads(line)["key"]
    if (seen / key).exists() or number % 2:
        print(json.dumps({"key": key, "answer": str(int(key[:2], 16) % 10), "annotator": "it"}))
    (seen / key).touch()
"""
"""Answers every other order, and the rest when it is offered again."""


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Settings under which a run's labels come from a program that the run does not start."""
    folder = tmp_path_factory.mktemp("source")
    (folder / "answer.py").write_text(PROGRAM)
    (folder / "seen").mkdir()
    command = f"{sys.executable} {folder}/answer.py {folder}/seen"
    return (
        "labels=command",
        f"labels.command='{command}'",
        "labels.inline=false",
        "labels.poll=1",
    )


PENDING = {
    "wait": ("labels.pending=wait", "labels.patience=3000"),
    "park": ("labels.pending=park",),
}


def runs_of(root: Path) -> list[Path]:
    """Of the only submission, by array index."""
    [submission] = submissions(root / "run")
    return list(submission.runs)


def state(folder: Path) -> RunState:
    return run_state(folder, queue=queue())


def words(folder: Path) -> LastHeartbeat | None:
    return read_heartbeat(folder).heartbeat


def is_parked(folder: Path) -> bool:
    """Whether its job is held until its labels are there."""
    return state(folder).waits_in is WaitsIn.queue and _is_held(folder)


def _is_held(folder: Path) -> bool:
    name = scenes.job_of(folder)
    return any(job.name == name and is_held(job) for job in queue())


def waits_in_memory(folder: Path, *, attempt: int) -> bool:
    said = words(folder)
    return said is not None and (said.state, said.attempt) == ("waiting", attempt)


def none_queued(root: Path) -> bool:
    return not scenes.queued(root)


def serve(root: Path) -> str:
    """One look of the bridge at a sweep."""
    done = rlavr("labels", "serve", str(root), "--once")
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def assert_no_node_is_held(cluster: Cluster, *, seconds: float = 4.0) -> None:
    """Slurm is asked again and again: no job runs, and every node is idle."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        active = [job for job in queue() if job.is_active]
        states = cluster.slurm("sinfo", "-h", "-N", "-o", "%t").split()
        assert (active, set(states)) == ([], {"idle"})
        time.sleep(0.5)


def test_a_sweep_parks_holds_no_node_is_answered_in_batches_and_ends(
    cluster: Cluster, asked: tuple[str, ...], tmp_path: Path
) -> None:
    cluster.configure(signal="TERM", grace=10)
    launch(tmp_path, *FEW, *asked, *PENDING["park"], "seed=1,2,3,4")
    runs = runs_of(tmp_path)
    wait_for("four parked runs", lambda: all(map(is_parked, runs)))
    assert_no_node_is_held(cluster)
    for run in runs:
        said = state(run)
        assert (said.state, said.source) == (State.waiting_for_labels, "command")
        assert said.pending
        assert scenes.causes(run) == ["waiting_for_labels"]
        assert scenes.job(run)["Reason"] == "job_requeued_in_held_state"

    early = runs[0]
    assert rlavr("start-now", str(early)).returncode == 0
    wait_for("its next parking", lambda: len(scenes.stops(early)) == 2 and is_parked(early))
    assert [is_parked(run) for run in runs[1:]] == [True] * 3, "it alone was released"

    serve(tmp_path / "run")
    assert [is_parked(run) for run in runs] == [True] * 4, "half of the labels are not enough"
    assert_no_node_is_held(cluster, seconds=1.0)
    said_by_bridge = serve(tmp_path / "run")
    assert said_by_bridge.count("is released") == 4
    wait_for("the second step", lambda: all(scenes.step_of(run) >= 1 for run in runs))
    while not all(is_over_or_served(run, tmp_path / "run") for run in runs):
        time.sleep(1.0)
    for run in runs:
        scenes.wait_until_over(run, seconds=900.0)
        causes = scenes.causes(run)
        assert set(causes) == {"waiting_for_labels", "done"}
        assert causes[-1] == "done"
        assert {stop.failures for stop in scenes.stops(run)} == {0}
        assert rlavr("ledger", "verify", str(run)).returncode == 0


def is_over_or_served(folder: Path, sweep: Path) -> bool:
    """Whether the run has ended; one that is parked is answered."""
    if is_parked(folder):
        serve(sweep)
    return (folder / "DONE.json").exists()


@pytest.mark.slow
def test_a_run_preempted_and_at_its_time_limit_while_it_waits_equals_one_that_parked(
    cluster: Cluster, asked: tuple[str, ...], tmp_path: Path
) -> None:
    cluster.configure(signal="TERM", grace=10)
    limits = (SHORT_LEAD, "hydra.launcher.time=10", "hydra.launcher.max_failures=1")
    for name, pending in PENDING.items():
        launch(tmp_path / name, *FEW, *asked, *limits, *pending)
    [waiting], [parking] = (runs_of(tmp_path / name) for name in PENDING)
    wait_for("a waiting run", lambda: waits_in_memory(waiting, attempt=1))
    assert state(waiting).waits_in is WaitsIn.memory
    assert scenes.node_of(waiting), "it keeps its node"
    cluster.ask_for(scenes.node_of(waiting))
    wait_for("the preemption", lambda: scenes.causes(waiting) == ["preempted"])
    wait_for(
        "waiting again",
        lambda: scenes.started_now(waiting) and waits_in_memory(waiting, attempt=2),
    )
    job = scenes.job_of(waiting)
    cluster.slurm("scontrol", "update", f"JobId={job}", "TimeLimit=1")
    wait_for("the limit", lambda: len(scenes.causes(waiting)) == 2)
    cluster.slurm("scontrol", "update", f"JobId={job}", "TimeLimit=10")
    assert scenes.causes(waiting) == ["preempted", "time_limit"]
    assert scenes.stops(waiting)[-1].again, "a limit while it waits is no failure"

    while not all(is_over_or_waits(run) for run in (waiting, parking)):
        time.sleep(1.0)
    for run in (waiting, parking):
        scenes.wait_until_over(run, seconds=900.0)
        assert scenes.causes(run)[-1] == "done"
    assert first_difference(waiting, parking, step=STEPS) is None


def is_over_or_waits(folder: Path) -> bool:
    """Whether the run has ended; one that waits, anywhere, is answered."""
    if not (folder / "DONE.json").exists():
        scenes.started_now(folder)
        serve(folder)
    return (folder / "DONE.json").exists()


@pytest.mark.slow
def test_a_cancelled_run_stays_cancelled_whether_it_waits_in_memory_or_is_parked(
    cluster: Cluster, asked: tuple[str, ...], tmp_path: Path
) -> None:
    cluster.configure(signal="TERM", grace=10)
    for name, pending in PENDING.items():
        launch(tmp_path / name, *FEW, *asked, *pending, "seed=1,2")
    [first, second], [parked, other] = (runs_of(tmp_path / name) for name in PENDING)
    wait_for("two waiting runs", lambda: waits_in_memory(first, attempt=1))
    cluster.slurm("scancel", scenes.job_of(first))
    wait_for("the end of a job", lambda: scenes.causes(first) == ["cancelled"])
    wait_for("the other one", lambda: waits_in_memory(second, attempt=1))
    assert rlavr("cancel", str(second)).returncode == 0
    wait_for("two parked runs", lambda: is_parked(parked) and is_parked(other))
    cluster.slurm("scancel", scenes.job_of(parked))
    told = rlavr("cancel", str(other))
    assert "cancelled (was waiting for labels, step" in told.stdout
    for name in PENDING:
        wait_for("no job of them", partial(none_queued, tmp_path / name))
    assert [state(run).state for run in (first, second, other)] == [State.cancelled] * 3
    wait_for("a word on what was taken away", lambda: state(parked).state is State.stopped)
    assert "its job is gone" in state(parked).reason
