"""Sweeps: submitted in one array, started again, extended; ranks on one node and on two."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.sameness import first_difference
from rlavr_hpc.runs.provenance import git_revision
from tests.slurm import scenes
from tests.slurm.conftest import Cluster
from tests.slurm.scenes import launch, wait_for
from tests.support.commands import CARE, REPOSITORY, SIX_STEPS, TINY, rlavr, run

VLLM = (*TINY, *CARE, "steps=14", "eval_every=0", "save_every=5")
"""The engine that is the default: vLLM."""
REWARD = """
from dataclasses import dataclass

@dataclass
class BriefReward:
    def of(self, group, by_vote, own):
        return tuple(by_vote)
"""


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of the same sweep without Slurm, undisturbed."""
    root = tmp_path_factory.mktemp("local")
    done = run("-m", f"root={root}", "hydra.launcher.ranks=2", "budget=0.05,0.1", *VLLM)
    assert done.returncode == 0, done.stderr
    return root


def folders(root: Path) -> list[Path]:
    """The runs of a root, in the order of the plan."""
    plan = json.loads((root / "run/sweep.json").read_text())
    return [Path(planned["folder"]) for planned in plan["runs"]]


def test_two_budgets_on_two_ranks_with_vllm_one_of_them_preempted_end_as_they_do_without_slurm(
    cluster: Cluster, local: Path, tmp_path: Path
) -> None:
    cluster.configure(signal="TERM", grace=10)
    two = ("hydra.launcher.tasks_per_node=2", "hydra.launcher.throttle=1")
    said = launch(tmp_path, "budget=0.05,0.1", *two, scenes.SHORT_LEAD, *VLLM)
    assert "submitted 2 runs as array" in said.stdout
    first, second = folders(tmp_path)
    wait_for("a step", lambda: scenes.step_of(first) >= 3)
    restarts = scenes.job(first)["Restarts"]
    cluster.ask_for(scenes.node_of(first))
    wait_for("the preemption", lambda: scenes.job(first)["Restarts"] != restarts)
    for folder in (first, second):
        scenes.wait_until_over(folder)

    assert scenes.causes(first) == ["preempted", "done"]
    for folder in (first, second):
        assert first_difference(folder, local / "run" / folder.name, step=14) is None
        assert rlavr("ledger", "verify", str(folder)).returncode == 0


def test_two_nodes_with_one_rank_equal_one_node_with_two(cluster: Cluster, tmp_path: Path) -> None:
    for root, nodes, tasks in ((tmp_path / "wide", 2, 1), (tmp_path / "deep", 1, 2)):
        launch(
            root,
            *SIX_STEPS,
            f"hydra.launcher.nodes={nodes}",
            f"hydra.launcher.tasks_per_node={tasks}",
        )
        scenes.wait_until_over(scenes.the_run(root))
    wide, deep = (scenes.the_run(tmp_path / name) for name in ("wide", "deep"))
    assert scenes.provenance(wide)["topology"]["local_world_size"] == 1
    assert scenes.provenance(wide)["topology"]["world_size"] == 2
    assert scenes.provenance(deep)["topology"]["local_world_size"] == 2
    assert first_difference(wide, deep, step=6) is None


def test_the_same_sweep_again_leaves_what_is_queued_skips_what_is_done_and_adds_what_is_new(
    cluster: Cluster, tmp_path: Path
) -> None:
    cluster.configure(signal="TERM", grace=10)
    later = "+hydra.launcher.sbatch.begin=now+1hour"
    launch(tmp_path, *SIX_STEPS, "seed=1,2", later)
    jobs = {job.name for job in scenes.queued(tmp_path)}
    (tmp_path / "x").mkdir()
    again = launch(tmp_path / "x" / "..", *SIX_STEPS, "seed=1,2", later)
    assert again.stdout.count("left alone") == 2
    assert "nothing to submit" in again.stdout
    assert {job.name for job in scenes.queued(tmp_path)} == jobs, "nothing was queued twice"

    first, second = folders(tmp_path)
    cancelled = rlavr("cancel", str(second))
    assert cancelled.returncode == 0, cancelled.stderr
    assert rlavr("start-now", str(first)).returncode == 0
    scenes.wait_until_over(first)
    more = run(
        "-m",
        "hydra/launcher=slurm",
        f"root={tmp_path}",
        *SIX_STEPS,
        "seed=1,2,3",
        "hydra.launcher.wait=true",
    )
    assert more.returncode == 1, "one run is cancelled"
    assert more.stdout.count("finished: skipped") == 1
    assert "cancelled: left; retry_failed=true submits it again" in more.stdout
    assert more.stdout.count("submitted 1 runs") == 1
    third = folders(tmp_path)[2]
    scenes.wait_until_over(third)  # its results are there before its last word
    assert scenes.causes(third) == ["done"]

    retried = launch(
        tmp_path, *SIX_STEPS, "seed=2", "retry_failed=true", "hydra.launcher.wait=true"
    )
    assert "cancelled: submitted again" in retried.stdout
    scenes.wait_until_over(second)
    assert scenes.causes(second)[-1] == "done"
    longer = launch(tmp_path, *SIX_STEPS, "seed=1", "steps=8", "hydra.launcher.wait=true")
    assert "submitted to continue" in longer.stdout
    assert json.loads((first / "DONE.json").read_text())["steps"] == 8
    assert len(folders(tmp_path)) == 3


def test_a_queued_run_does_not_see_what_is_edited_after_it_was_submitted(
    cluster: Cluster, tmp_path: Path
) -> None:
    reward = tmp_path / "brief_reward.py"
    reward.write_text(REWARD)
    there = {"PYTHONPATH": f"{tmp_path}:{REPOSITORY}"}
    mine = (
        "reward.name=brief",
        "reward.target=brief_reward:BriefReward",
        "+hydra.launcher.sbatch.begin=now+1hour",
    )
    done = run(
        "-m",
        "hydra/launcher=slurm",
        f"root={tmp_path / 'root'}",
        *SIX_STEPS,
        *mine,
        environment=there,
    )
    assert done.returncode == 0, done.stderr
    reward.write_text("raise SystemExit('edited')\n")
    folder = scenes.the_run(tmp_path / "root")
    started = rlavr("start-now", str(folder))
    assert started.returncode == 0, started.stderr
    scenes.wait_until_over(folder)
    assert scenes.causes(folder) == ["done"]
    assert scenes.provenance(folder)["git"] == git_revision()


def test_a_dry_run_shows_the_script_and_queues_nothing(cluster: Cluster, tmp_path: Path) -> None:
    said = launch(tmp_path, *SIX_STEPS, "seed=1,2", "hydra.launcher.dry_run=true")
    assert "#SBATCH --array=0-1%2" in said.stdout
    assert "sbatch --test-only: Job " in said.stdout
    assert not list(tmp_path.glob("run/slurm"))
    assert not list(tmp_path.glob("run/sweep.json"))
    assert not list(tmp_path.glob("run/*/config.yaml"))


def test_an_evaluation_follows_its_run_and_a_sweep_larger_than_an_array_is_split(
    cluster: Cluster, tmp_path: Path
) -> None:
    said = launch(
        tmp_path, *SIX_STEPS, "hydra.launcher.evaluate=--on held_out", "hydra.launcher.wait=true"
    )
    assert "submitted 1 evaluations" in said.stdout
    folder = scenes.the_run(tmp_path)
    wait_for("the evaluation", lambda: list(folder.glob("evaluation/step_6/held_out.json")))
    seeds = "seed=" + ",".join(map(str, range(1, 153)))
    many = launch(tmp_path / "many", *SIX_STEPS, seeds, "+hydra.launcher.sbatch.begin=now+1hour")
    assert "submitted 151 runs" in many.stdout
    assert "submitted 1 runs" in many.stdout
    assert rlavr("cancel", str(tmp_path / "many/run")).returncode == 0
    assert not scenes.queued(tmp_path / "many")
