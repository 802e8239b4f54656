"""Runs whose jobs Slurm ends in every way it knows equal one that nobody disturbed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rlavr_hpc.runs.attempts import read_attempts
from tests.slurm import scenes
from tests.slurm.conftest import Cluster
from tests.slurm.scenes import LONG, SHORT_LEAD, launch, the_run, wait_for
from tests.support.commands import run

Reference = Callable[[], Path]
Told = Callable[[str, Path], None]


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    """Waits for the reference run, which is without Slurm and beside the first test."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"

    def finished() -> Path:
        assert reference.result().returncode == 0, reference.result().stderr
        return folder

    with ThreadPoolExecutor(1) as pool:
        reference = pool.submit(run, *LONG, f"run_dir={folder}")
        yield finished


def preempt(cluster: Cluster, folder: Path) -> None:
    """Urgent work takes the node of the run's job, and is over soon; the job starts again."""
    restarts = scenes.job(folder)["Restarts"]
    cluster.ask_for(wait_for("a running job", lambda: scenes.node_of(folder)))
    wait_for("the preemption", lambda: scenes.job(folder)["Restarts"] != restarts)
    wait_for("the restart", lambda: scenes.started_now(folder).get("JobState") == "RUNNING")


def limit(cluster: Cluster, folder: Path, *, minutes: int) -> None:
    """Change the time limit of the run's job."""
    name = scenes.job_of(folder)
    cluster.slurm("scontrol", "update", f"JobId={name}", f"TimeLimit={minutes}")


def steps_further(folder: Path, steps: int) -> None:
    """Until the run has done so many more steps, in its newest attempt."""
    begin = scenes.step_of(folder)
    wait_for(f"step {begin + steps}", lambda: scenes.step_of(folder) >= begin + steps)


def test_a_run_at_its_time_limit_goes_on_in_a_new_start_and_equals_an_undisturbed_one(
    cluster: Cluster, undisturbed: Reference, tmp_path: Path, told: Told
) -> None:
    cluster.configure(signal="TERM", grace=10)
    launch(
        tmp_path,
        *LONG,
        "hydra.launcher.time=30",
        "hydra.launcher.signal_seconds=10",
        "hydra.launcher.max_failures=20",
    )
    folder = the_run(tmp_path)
    wait_for("an attempt's token", lambda: read_attempts(folder))
    with scenes.held(folder):
        limit(cluster, folder, minutes=scenes.minutes_of(folder) + 1)
        wait_for("the limit", lambda: scenes.stops(folder))
        wait_for("the kill", lambda: scenes.job(folder)["JobState"] == "PENDING")
    assert [stop.again for stop in scenes.stops(folder)] == [True]
    # Slurm looks every half minute: the signal comes 20 to 50 s after this start's begin. A slow
    # machine loads that long, a fast one would be done.
    limit(cluster, folder, minutes=1)

    def signalled() -> bool:
        return len(scenes.stops(folder)) == 2

    wait_for(
        "step 30",
        lambda: scenes.started_now(folder) and (signalled() or scenes.step_of(folder) >= 30),
    )
    if not signalled():
        scenes.pause(folder)
    wait_for("the signal", signalled)
    limit(cluster, folder, minutes=30)
    scenes.wait_until_over(folder)

    assert scenes.causes(folder) == ["time_limit", "time_limit", "done"]
    scenes.assert_same(folder, undisturbed())
    told("time limit: in spite of the signal, at the signal", folder)


def test_a_run_preempted_by_term_by_usr2_and_without_grace_equals_an_undisturbed_one(
    cluster: Cluster, undisturbed: Reference, tmp_path: Path, told: Told
) -> None:
    cluster.configure(signal="TERM", grace=10)
    launch(tmp_path, *LONG, SHORT_LEAD)
    folder = the_run(tmp_path)
    steps_further(folder, 30)
    preempt(cluster, folder)
    steps_further(folder, 30)
    cluster.configure(signal="USR2", grace=10)
    preempt(cluster, folder)
    steps_further(folder, 30)
    cluster.configure(signal="TERM", grace=0)
    preempt(cluster, folder)
    scenes.wait_until_over(folder)

    assert scenes.causes(folder) == ["preempted", "preempted", "requeued", "done"]
    resumed = [attempt.resumed_from for attempt in read_attempts(folder)]
    assert resumed == sorted(set(resumed)), "every start went on from a newer checkpoint"
    assert len(resumed) == 4
    scenes.assert_same(folder, undisturbed())
    told("preempted: TERM, USR2, no grace", folder)


def test_a_run_preempted_before_it_can_hear_a_signal_and_while_it_loads_equals_an_undisturbed_one(
    cluster: Cluster, undisturbed: Reference, tmp_path: Path, told: Told
) -> None:
    cluster.configure(signal="TERM", grace=10)
    launch(tmp_path, *LONG, SHORT_LEAD)
    folder = the_run(tmp_path)
    wait_for("the start", lambda: scenes.node_of(folder))
    preempt(cluster, folder)
    assert not any(scenes.segments(folder).values()), "no row was written yet"
    wait_for("an attempt's token", lambda: read_attempts(folder))
    preempt(cluster, folder)
    scenes.wait_until_over(folder)

    assert scenes.causes(folder) == ["preempted", "preempted", "done"]
    scenes.assert_same(folder, undisturbed())
    told("preempted: within 2 s, while the model loads", folder)


def test_a_run_whose_node_dies_goes_on_elsewhere_while_its_old_process_lives_and_counts_once(
    cluster: Cluster, undisturbed: Reference, tmp_path: Path, told: Told
) -> None:
    cluster.configure(signal="TERM", grace=10)
    launch(tmp_path, *LONG, SHORT_LEAD)
    folder = the_run(tmp_path)
    steps_further(folder, 30)
    node, killed = scenes.node_of(folder), time.time()
    cluster.kill_node(node)
    cluster.slurm("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=dead")
    try:
        scenes.wait_until_over(folder)
    finally:
        cluster.up()

    attempts = read_attempts(folder)
    assert len(attempts) == 2
    old = scenes.segments(folder)[1]
    assert old[-1]["step"] > attempts[1].resumed_from, "the old process went on with the work"
    assert old[-1]["time"] > killed
    assert "superseded" in scenes.log_of(folder)
    scenes.assert_same(folder, undisturbed())
    told("node death, old process alive", folder)
