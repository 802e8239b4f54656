"""What can go wrong with a job, and what its user is told."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from pathlib import Path

import pytest

from tests.slurm import scenes
from tests.slurm.conftest import Cluster
from tests.slurm.scenes import LONG, launch, the_run, wait_for
from tests.support.commands import SIX_STEPS, rlavr, run

RAISING = (
    "algorithm.loss.name=raising",
    "algorithm.loss.target=tests.support.raising:RaisingLoss",
    "save_every=0",
)
CANARY = f"canary-{secrets.token_hex(6)}"
WAIT = "hydra.launcher.wait=true"


@pytest.fixture(scope="module", autouse=True)
def endless(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose first step takes longer than its time limit; it has been waiting since."""
    root = tmp_path_factory.mktemp("endless")
    done = run(
        "-m",
        "hydra/launcher=slurm",
        f"root={root}",
        *SIX_STEPS,
        *RAISING,
        "hydra.launcher.time=1",
        "hydra.launcher.signal_seconds=30",
        "hydra.launcher.max_failures=1",
        environment={"RAISE": "sleep@0"},
    )
    assert done.returncode == 0, done.stderr
    return the_run(root)


def why(folder: Path) -> str:
    done = rlavr("why", str(folder))
    assert done.returncode == 0, done.stderr
    return done.stdout


def state(folder: Path) -> str:
    done = rlavr("status", str(folder), "--json")
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["state"])


def test_a_cancelled_run_stays_cancelled(cluster: Cluster, tmp_path: Path) -> None:
    cluster.configure(signal="TERM", grace=10)
    launch(tmp_path, *LONG, scenes.SHORT_LEAD)
    folder = the_run(tmp_path)
    wait_for("a step", lambda: scenes.step_of(folder) >= 5)
    cluster.slurm("scancel", scenes.job_of(folder))
    wait_for("the end", lambda: not scenes.queued(tmp_path))
    assert scenes.job(folder)["JobState"] == "CANCELLED"
    assert scenes.job(folder)["Restarts"] == "0"
    assert scenes.causes(folder) == ["cancelled"]
    assert state(folder) == "cancelled"
    again = launch(tmp_path, *LONG, scenes.SHORT_LEAD)
    assert "nothing to submit" in again.stdout
    assert "cancelled" in why(folder)


def test_a_rank_that_raises_takes_the_others_along_is_tried_again_and_then_named(
    cluster: Cluster, tmp_path: Path
) -> None:
    done = run(
        "-m",
        "hydra/launcher=slurm",
        f"root={tmp_path}",
        *SIX_STEPS,
        *RAISING,
        WAIT,
        "hydra.launcher.tasks_per_node=2",
        "hydra.launcher.max_failures=2",
        environment={"RAISE": "5@1", "SOME_API_KEY": CANARY},
    )
    assert done.returncode == 1, done.stderr
    said = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert CANARY.encode() not in said
    folder = the_run(tmp_path)
    stops = scenes.stops(folder)
    assert [(stop.cause.value, stop.again) for stop in stops] == [
        ("crashed", True),
        ("crashed", False),
    ]
    assert "given up after 2 failures without a new checkpoint" in stops[-1].message
    assert state(folder) == "failed"
    told = why(folder)
    assert "RuntimeError: the loss fails in call 5 of rank 1" in told
    assert "raising.py" in told
    assert "rank 1" in told
    assert scenes.job(folder)["JobState"] == "FAILED"


def test_a_job_that_needs_more_memory_than_it_asked_for_is_told_so(
    cluster: Cluster, tmp_path: Path
) -> None:
    done = run(
        "-m",
        "hydra/launcher=slurm",
        f"root={tmp_path}",
        *SIX_STEPS,
        WAIT,
        "hydra.launcher.mem_gb=0.2",
        "hydra.launcher.max_failures=1",
    )
    assert done.returncode == 1, done.stderr
    folder = the_run(tmp_path)
    assert [(stop.cause.value, stop.exit_code) for stop in scenes.stops(folder)] == [
        ("crashed", 137)
    ]
    assert "memory" in why(folder)


@pytest.mark.parametrize("reached", [False, True])
def test_a_login_node_that_dies_while_it_submits_loses_nothing_and_queues_nothing_twice(
    cluster: Cluster, tmp_path: Path, reached: bool
) -> None:
    real = shutil.which("sbatch")
    fake = tmp_path / "bin" / "sbatch"
    fake.parent.mkdir()
    submit = f'{real} "$@"' if reached else ":"
    fake.write_text(f"#!/bin/sh\n{submit}\nkill -9 $PPID\n")
    fake.chmod(0o755)
    sweep = ("-m", "hydra/launcher=slurm", f"root={tmp_path / 'root'}", *SIX_STEPS, "seed=1,2")
    later = "+hydra.launcher.sbatch.begin=now+1hour"
    died = run(*sweep, later, environment={"PATH": f"{fake.parent}:{os.environ['PATH']}"})
    assert died.returncode == -9
    assert (tmp_path / "root/run/sweep.json").exists(), "the plan was on disk before"
    assert len(scenes.queued(tmp_path / "root")) == (2 if reached else 0)
    again = run(*sweep, later)
    assert again.returncode == 0, again.stderr
    assert ("nothing to submit" in again.stdout) == reached
    assert len(scenes.queued(tmp_path / "root")) == 2
    cancelled = rlavr("cancel", str(tmp_path / "root/run"))
    assert cancelled.returncode == 0, cancelled.stderr
    assert not scenes.queued(tmp_path / "root")


def test_a_partition_that_does_not_exist_is_refused_before_anything_is_written(
    cluster: Cluster, tmp_path: Path
) -> None:
    done = run("-m", "hydra/launcher=slurm", f"root={tmp_path}", "hydra.launcher.partition=fast")
    assert done.returncode == 2
    assert "no such partition; it has nograce, preemptible, urgent" in done.stderr
    assert not list(tmp_path.glob("run/sweep.json"))


def test_a_model_that_is_not_in_the_cache_is_refused_before_anything_is_queued(
    cluster: Cluster, tmp_path: Path
) -> None:
    data = tmp_path / "questions.jsonl"
    data.write_text('{"prompt": "1+1?", "answer": "2"}\n' * 8)
    wanted = ("data=jsonl", f"data.path={data}", "data.holdout=0.25", "model=pretrained")
    done = run(
        "-m",
        "hydra/launcher=slurm",
        f"root={tmp_path / 'root'}",
        *wanted,
        "model.path=nobody/nothing",
        environment={"HF_HUB_CACHE": str(tmp_path / "hub")},
    )
    assert done.returncode == 2, done.stderr
    assert "rlavr fetch model.path=nobody/nothing" in done.stderr
    assert not list(tmp_path.glob("root/*/sweep.json"))
    assert not scenes.queued(tmp_path / "root")


def test_a_time_limit_that_leaves_no_time_for_a_checkpoint_ends_with_the_way_out(
    endless: Path,
) -> None:
    # by its record: Slurm itself forgets a job five minutes after its end
    [stop] = wait_for("the end of the run", lambda: scenes.stops(endless))
    assert (stop.cause.value, stop.again) == ("time_limit", False)
    assert "hydra.launcher.time" in why(endless)
    assert state(endless) == "failed"


def test_all_of_this_works_without_accounting(cluster: Cluster) -> None:
    assert "disabled" in cluster.slurm("sh", "-c", "sacct 2>&1 || true")
