"""Which runs the policy study makes, and in which order."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from benchmarks.policy_arms import ARMS, CHECKED, UNSEEN, VOTE_WORLDS
from benchmarks.policy_plan import (
    SEEDS,
    STEPS,
    TRAINING_PROMPTS,
    Job,
    planned,
    planned_quick,
)
from rlavr_hpc.cluster.overrides import config_of
from rlavr_hpc.config.model import ModelSource
from rlavr_hpc.config.shipped import CONF
from rlavr_hpc.data.load_split import load_split

ALL = planned(list(SEEDS), seeds=5)


def test_every_study_has_its_runs_and_none_twice() -> None:
    assert Counter(job.study for job in ALL) == {
        "budget": 35 * 5,
        "worlds": 5 * 11 * 3,
        "reasoning": 10 * 3,
        "rates": 4 * 2 * 4,
        "vote": 4 * 4,
        "reuse": 5 * 4 * 2,
    }
    assert len({job.key for job in ALL}) == len({job.folder for job in ALL}) == len(ALL)
    assert len({world.name for world in (*UNSEEN, *VOTE_WORLDS)}) == 21
    assert {job.study for job in planned(["vote"], seeds=5)} == {"vote"}
    assert len(planned(["budget"], seeds=2)) == 70


def test_the_learning_rate_was_chosen_on_seeds_that_nothing_else_has() -> None:
    rates = {job.seed for job in ALL if job.study == "rates"}
    others = {job.seed for job in ALL if job.study != "rates"}
    quick = {job.seed for job in planned_quick(seeds=3, first_seed=201)}
    assert rates == {101, 102, 103, 104}
    assert not rates & others
    assert not quick & (rates | others)


def test_a_partial_table_is_fair_and_has_the_main_policies_first() -> None:
    main = {arm.name for arm in ARMS if arm.worlds}
    first = [job for job in ALL if job.arm in main and job.study in ("budget", "worlds")]
    last_main = max(ALL.index(job) for job in first)
    assert all(job.study in ("budget", "worlds", "reasoning") for job in ALL[:last_main])
    seeds = [job.seed for job in ALL[: last_main + 1]]
    assert seeds == sorted(seeds)
    assert [job.arm for job in ALL[:3]] == ["none", "full", "random"]


def test_the_quick_study_is_thirty_runs_with_the_lines_of_the_story() -> None:
    jobs = planned_quick(seeds=3, first_seed=201)
    assert len(jobs) == 30
    assert {(job.arm, job.budget) for job in jobs} <= {
        (job.arm, job.budget) for job in ALL if job.study == "budget"
    }
    assert [job.seed for job in jobs] == [201] * 10 + [202] * 10 + [203] * 10


def runnable() -> list[Job]:
    """A run of every policy and of every study."""
    arms = {job.arm: job for job in ALL if job.study == "budget"}
    studies = {job.study: job for job in ALL}
    some = [*arms.values(), *studies.values()]
    shipped = (CONF / "acquisition" / f"{CHECKED}.yaml").exists()
    return [job for job in some if shipped or job.arm != CHECKED]


def test_every_policy_and_every_study_has_a_command_that_a_run_takes(tmp_path: Path) -> None:
    for job in runnable():
        module, *overrides = job.command(tmp_path, side_by_side=2)
        config = config_of(overrides)
        assert module == "rlavr_hpc.run"
        assert (config.seed, config.rollout.engine) == (job.seed, "hf")
        assert config.steps == (100 if job.study == "reasoning" else STEPS)
        assert (config.model.source is ModelSource.reasoning) is (job.study == "reasoning")
        if 0 < job.budget < 1 and job.study != "reuse":
            assert config.budget == job.budget


def test_studies_set_what_they_are_about(tmp_path: Path) -> None:
    of = {study: [job for job in ALL if job.study == study] for study in SEEDS}
    rates = {
        config_of(job.command(tmp_path, side_by_side=1)[1:]).algorithm.lr for job in of["rates"][:8]
    }
    assert rates == {2.5e-4, 5e-4, 7.5e-4, 1e-3}
    reused = config_of(of["reuse"][0].command(tmp_path, side_by_side=1)[1:])
    assert (reused.reuse_labels, reused.budget_total) == (True, 20)
    assert len(load_split(reused.data, task=reused.task_name).train.questions) == TRAINING_PROMPTS
    world = config_of(of["worlds"][0].command(tmp_path, side_by_side=1)[1:])
    assert (world.data.kinds, world.data.wrong_rule) == ("MXHMHHXM", 2)
