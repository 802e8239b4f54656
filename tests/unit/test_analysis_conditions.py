"""Runs that differ only by seed are one condition, under the shortest name that sets it apart."""

from __future__ import annotations

from typing import Any

from analysis.compare.conditions import name_conditions
from analysis.load.run import RunData
from tests.support.analysis_runs import make_run

POLICIES: dict[str, dict[str, Any]] = {
    "care": {"acquisition.settings.gate": 0.25, "acquisition.default_unlabelled": "trusted"},
    "random": {"acquisition.default_unlabelled": "drop"},
    "cag_oracle": {"acquisition.default_unlabelled": "drop"},
    "full": {"acquisition.default_unlabelled": "drop", "acquisition.fixed_budget": True},
}
BUDGETS = {"full": 1.0}


def run(policy: str, seed: int = 1, **changes: Any) -> RunData:  # noqa: ANN401
    """A run with a config; `changes` are flat keys with `__` for dots."""
    config = {
        "acquisition.name": policy,
        "budget": BUDGETS.get(policy, 0.2),
        "seed": seed,
        "unlabelled": POLICIES[policy]["acquisition.default_unlabelled"],
        "algorithm.lr": 0.001,
        "data.kind": "testbed",
        "model.source": "testbed",
        "rollout.engine": "hf",
        "acquisition.fixed_budget": False,
        "steps": 150,
        "cluster.threads": 1,
        **POLICIES[policy],
        **{key.replace("__", "."): value for key, value in changes.items()},
    }
    name = f"{policy}-{seed}-{sorted(changes.items())}"
    return make_run(name, policy=policy, seed=seed, config=config)


def names_of(*runs: RunData) -> list[str]:
    named = name_conditions(runs)
    return [named[one.name].name for one in runs]


def test_runs_that_differ_by_seed_and_by_what_does_not_change_results_are_one_condition() -> None:
    other = run("care", 2, steps=300, cluster__threads=4, save_every=10, name="again", audit=False)
    assert names_of(run("care"), other) == ["care", "care"]


def test_a_policy_is_told_by_its_name_alone_where_only_policies_differ() -> None:
    assert names_of(run("care"), run("random"), run("full")) == ["care", "random", "full"]


def test_budgets_are_told_where_they_differ_and_never_where_they_are_fixed() -> None:
    runs = [run("care"), run("care", budget=0.1), run("random"), run("full")]
    assert names_of(*runs) == ["care budget=0.2", "care budget=0.1", "random budget=0.2", "full"]


def test_unlabelled_is_told_only_where_it_is_not_the_policys_own() -> None:
    runs = [run("cag_oracle"), run("cag_oracle", unlabelled="pseudo"), run("care")]
    assert names_of(*runs) == ["cag_oracle", "cag_oracle unlabelled=pseudo", "care"]


def test_a_policys_setting_is_told_where_it_differs_within_the_policy() -> None:
    runs = [run("care"), run("care", acquisition__settings__gate=0.5), run("random")]
    assert names_of(*runs) == [
        "care acquisition.settings.gate=0.25",
        "care acquisition.settings.gate=0.5",
        "random",
    ]


def test_other_settings_are_told_in_the_users_words_also_where_policies_differ_in_them() -> None:
    runs = [run("care", algorithm__lr=1e-05, rollout__engine="vllm"), run("random")]
    assert names_of(*runs) == [
        "care rollout=vllm algorithm.lr=1e-05",
        "random rollout=hf algorithm.lr=0.001",
    ]


def test_what_follows_from_the_task_is_not_told_beside_it() -> None:
    puzzles: dict[str, Any] = {
        "data__kind": "knights",
        "model__source": "pretrained",
        "algorithm__lr": 1e-6,
    }
    runs = [run("care"), run("care", **puzzles, model__path="/models/a/Qwen3-4B")]
    assert names_of(*runs) == ["care data=testbed", "care data=knights"]
    larger = run("care", **puzzles, model__path="/models/a/Qwen3-8B", budget_total=None)
    assert names_of(*runs, larger)[1:] == [
        "care data=knights model.path=Qwen3-4B",
        "care data=knights model.path=Qwen3-8B",
    ]


def test_budgets_are_told_although_they_follow_from_the_task() -> None:
    runs = [run("care"), run("care", data__kind="knights", budget=0.1)]
    assert names_of(*runs) == ["care budget=0.2 data=testbed", "care budget=0.1 data=knights"]


def test_numbers_lists_and_truths_are_written_as_on_the_command_line() -> None:
    one, other = run("care", a=1.0, b=[3, 4], c=True), run("care", a=2.5, b=[], c=False)
    assert names_of(one, other) == ["care a=1 b=[3,4] c=true", "care a=2.5 b=[] c=false"]


def test_a_cap_is_told_where_there_is_one() -> None:
    runs = [run("care", budget_total=None), run("care", budget_total=500)]
    assert names_of(*runs) == ["care", "care budget_total=500"]


def test_conditions_whose_values_look_alike_still_have_names_of_their_own() -> None:
    runs = [
        run("care", data__path="/a/train.parquet"),
        run("care", data__path="/b/train.parquet"),
    ]
    assert names_of(*runs) == [
        "care data.path=train.parquet",
        "care data.path=train.parquet (2)",
    ]


def test_a_key_that_an_older_config_lacks_is_the_same_as_null() -> None:
    runs = [run("care"), run("care", 2, budget_total=None)]
    assert names_of(*runs) == ["care", "care"]


def test_the_order_of_runs_changes_no_name() -> None:
    runs = [
        run("care", 1, data__path="/b/x"),
        run("care", 2, data__path="/a/x"),
        run("random", algorithm__lr=0.01),
        run("full"),
    ]
    there, back = name_conditions(runs), name_conditions(runs[::-1])
    assert there == back


def test_settings_hold_policy_budget_and_what_the_name_tells() -> None:
    runs = [run("care"), run("care", algorithm__lr=0.01)]
    settings = name_conditions(runs)[runs[1].name].settings
    assert settings == {"acquisition.name": "care", "budget": "0.2", "algorithm.lr": "0.01"}


def test_a_planned_run_joins_the_condition_that_its_overrides_came_to() -> None:
    overrides = ("acquisition=care", "budget=0.1")
    begun = make_run(
        "a", config=run("care", budget=0.1).config, sweep="s", overrides=(*overrides, "seed=1")
    )
    planned = make_run("b", sweep="s", overrides=(*overrides, "seed=2", "cluster=site"), seed=2)
    elsewhere = make_run("c", sweep="t", overrides=(*overrides, "seed=2"), seed=2)
    named = name_conditions([begun, planned, elsewhere])
    assert named["b"] == named["a"]
    assert named["c"].name != named["a"].name


def test_a_run_without_config_is_told_by_its_overrides() -> None:
    runs = [
        make_run("a", policy="care", overrides=("acquisition=care", "budget=0.1", "seed=1")),
        make_run("b", policy="care", overrides=("acquisition=care", "budget=0.1", "seed=2")),
        make_run("c", policy="care", overrides=("acquisition=care", "budget=0.2", "seed=1")),
        make_run("d", policy="unknown"),
    ]
    assert names_of(*runs) == [
        "care budget=0.1",
        "care budget=0.1",
        "care budget=0.2",
        "unknown",
    ]
    assert name_conditions([]) == {}


def test_what_most_conditions_share_goes_without_saying() -> None:
    runs = [run("random"), run("full"), run("full", algorithm__lr=0.03)]
    assert names_of(*runs) == ["random", "full", "full algorithm.lr=0.03"]


def test_nothing_goes_without_saying_where_two_conditions_differ() -> None:
    runs = [run("full"), run("full", algorithm__lr=0.03)]
    assert names_of(*runs) == ["full algorithm.lr=0.001", "full algorithm.lr=0.03"]


def test_of_a_label_source_only_its_name_is_told_unless_it_is_asked_in_two_ways() -> None:
    judge: dict[str, Any] = {
        "labels__name": "judge",
        "labels__target": "rlavr_hpc.labels.sources.judge:JudgeSource",
        "labels__base_url": "http://127.0.0.1:8000/v1",
        "labels__key_variable": "KEY",
        "labels__patience": 600.0,
    }
    data: dict[str, Any] = {
        "labels__name": "dataset",
        "labels__target": "rlavr_hpc.labels.dataset:DatasetLabels",
    }
    assert names_of(run("care", **judge), run("care", **data)) == [
        "care labels=judge",
        "care labels=dataset",
    ]
    elsewhere = run("care", **{**judge, "labels__base_url": "http://b:8000/v1"})
    assert names_of(run("care", **judge), elsewhere) == [
        "care labels.base_url=http://127.0.0.1:8000/v1",
        "care labels.base_url=http://b:8000/v1",
    ]
