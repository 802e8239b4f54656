"""Keys that do nothing with what a run has chosen are refused by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from rlavr_hpc.cluster.effects import Asked, idle_of, refuse_idle, refuse_outside_sweep
from rlavr_hpc.cluster.given import experiment_keys, given_of, sweep_of
from rlavr_hpc.config.effect_table import ALWAYS, RULES
from rlavr_hpc.config.key_effect import Given, idle_keys, rule_of
from rlavr_hpc.config.keys import groups
from rlavr_hpc.config.shipped import CONF
from rlavr_hpc.errors import UserError
from tests.support.configs import composed

EXPERIMENTS = sorted(path.stem for path in CONF.glob("experiment/*.yaml"))
OWN = ("model=pretrained", "model.path=m")
JSONL = ("data=jsonl", "data.path=f.jsonl")
OWN_TASK = ("task.name=mine", "task.target=mine:Mine", "+task.settings.near=2")
OWN_POLICY = ("acquisition.name=mine", "acquisition.target=mine:Mine")
JUDGE = ("labels=judge", "labels.base_url=http://127.0.0.1:1/v1", "labels.model=m")
HYDRA = OmegaConf.create({"runtime": {"config_sources": [], "choices": {}}})


def asked(*overrides: str, exists: bool = False) -> Asked:
    return Asked(config=composed(*overrides), overrides=overrides, exists=exists)


def idle(*overrides: str) -> list[str]:
    return [one.key for one in idle_of(asked(*overrides))]


def always(key: str) -> bool:
    return any(key == known or key.startswith(f"{known}.") for known in ALWAYS)


def test_every_key_has_a_rule_or_is_known_to_have_an_effect_always() -> None:
    keys = [key.key for group in groups() for key in group.keys]
    assert len(keys) > 90
    assert [key for key in keys if rule_of(key, RULES) is None and not always(key)] == []


def test_no_key_is_in_both_lists_and_none_that_is_gone_is_in_one() -> None:
    keys = [key.key for group in groups() for key in group.keys]
    ruled = [known for rule in RULES for known in rule.keys]
    assert [key for key in keys if always(key) and rule_of(key, RULES)] == []
    plugged = ("algorithm.loss.settings.kl_estimator",)
    for known in (*ruled, *ALWAYS):
        there = any(key == known or key.startswith(f"{known}.") for key in keys)
        assert there or known in plugged, known


@pytest.mark.parametrize(
    ("overrides", "key"),
    [
        (["model.path=/some/folder"], "model.path"),
        (["model.trust_remote_code=true"], "model.trust_remote_code"),
        ([*OWN, *JSONL, "model.pretrain_steps=3"], "model.pretrain_steps"),
        ([*OWN, *JSONL, "model.tied_embeddings=true"], "model.tied_embeddings"),
        (["data.path=f.jsonl"], "data.path"),
        (["data.eval_path=f.jsonl"], "data.eval_path"),
        (["data=knights", "task=math"], "task"),
        ([*JSONL, "data.eval_path=g", "data.holdout=0.1"], "data.holdout"),
        ([*OWN, *JSONL, "data.kinds=HH"], "data.kinds"),
        ([*OWN, *JSONL, "data.wrong_rule=1"], "data.wrong_rule"),
        (["data=parquet", "data.path=f", "data.people=[3,4]"], "data.people"),
        (["data.count=10"], "data.count"),
        ([*JSONL, "data.eval_count=7"], "data.eval_count"),
        (["data=knights", "data.eval_count=0", "data.eval_people=[4]"], "data.eval_people"),
        ([*OWN, *JSONL, "data.seed=2"], "data.seed"),
        (["data.enable_thinking=true"], "data.enable_thinking"),
        (
            [*OWN, *JSONL, "data.chat_template=none", "data.enable_thinking=true"],
            "data.enable_thinking",
        ),
        (["data.chat_template=apply"], "data.chat_template"),
        ([*OWN, *JSONL, "data.eval_limit=5"], "data.eval_limit"),
        ([*OWN, *JSONL, "eval.samples=2"], "eval.samples"),
        ([*OWN, *JSONL, "eval.temperature=0.5"], "eval.temperature"),
        ([*OWN, *JSONL, "eval_every=5"], "eval_every"),
        ([*OWN, *JSONL, "checkpoint.keep_best=true"], "checkpoint.keep_best"),
        (["data=knights", "data.eval_count=0", "eval.top_p=0.5"], "eval.top_p"),
        (["acquisition=none", "budget_total=9"], "budget_total"),
        (["acquisition=none", "reuse_labels=true"], "reuse_labels"),
        (["acquisition=full", "unlabelled=pseudo"], "unlabelled"),
        (["acquisition=random", "soft_adv=2"], "soft_adv"),
        (["acquisition=random", "unlabelled=trusted", "soft_adv=2"], "soft_adv"),
        (["acquisition=random", "unlabelled=pseudo", "soft_adv=2"], "soft_adv"),
        (["acquisition=random", "reward=self_certainty"], "reward"),
        (["algorithm.micro_tokens=99", "algorithm.micro_batch=2"], "algorithm.micro_batch"),
        (
            ["algorithm.overlong.buffer=0", "algorithm.overlong.penalty=2"],
            "algorithm.overlong.penalty",
        ),
        (
            ["algorithm.loss.settings.kl_estimator=k1"],
            "algorithm.loss.settings.kl_estimator",
        ),
        (["rollout=hf", "rollout.gpu_memory_utilization=0.4"], "rollout.gpu_memory_utilization"),
        (["rollout=hf", "rollout.kv_cache_gib=4"], "rollout.kv_cache_gib"),
        (["lora.alpha=4"], "lora.alpha"),
        (["lora.targets=[q_proj]"], "lora.targets"),
        (["warning.max_rollbacks=1"], "warning.max_rollbacks"),
        (["warning.action=none", "warning.budget_factor=3"], "warning.budget_factor"),
        (["warning.act_on=hint"], "warning.act_on"),
        (["warning.false_alarm=0.1"], "warning.false_alarm"),
        (["warning.audit=used", "warning.kept_share=0.1"], "warning.kept_share"),
        (["warning.audit=kept", "warning.used_per_step=2"], "warning.used_per_step"),
        (["warning.audit=kept", "warning.trust_floor=0.7"], "warning.trust_floor"),
        (["tracking=tensorboard", "tracking.project=x"], "tracking.project"),
        (["tracking.tags=[a]"], "tracking.tags"),
        (["tracking.share_labels=true"], "tracking.share_labels"),
        (["tracking.checkpoints=true"], "tracking.checkpoints"),
        (["tracking.entity=us"], "tracking.entity"),
        (["tracking.examples_every=0", "tracking.examples_prompts=2"], "tracking.examples_prompts"),
        (["run_dir=here", "root=there"], "root"),
        (["data=knights", "grading.extract=any"], "grading.extract"),
        (["experiment=reasoning", "grading.extract=any"], "grading.extract"),
        (["experiment=reasoning", "data.people=[3]"], "data.people"),
        (["experiment=reasoning", "data.kinds=HM"], "data.kinds"),
        (["experiment=reasoning", "cluster.check_memory=false"], "cluster.check_memory"),
        (["data=knights", *OWN_TASK, "grading.extract=any"], "grading.extract"),
        (["data.system_role=merge"], "data.system_role"),
        (
            [*OWN, *JSONL, "data.chat_template=none", "data.system_role=merge"],
            "data.system_role",
        ),
        (["data.stop_at_turn_end=false"], "data.stop_at_turn_end"),
        (["acquisition=none", "acquisition.candidates=labelled"], "acquisition.candidates"),
        (["cluster.check_memory=false"], "cluster.check_memory"),
        ([*OWN, *JSONL, "task=text", "grading.thoughts=read"], "grading.thoughts"),
        (["labels.on_wrong=negative"], "labels.on_wrong"),
        (["labels=people", "labels.on_wrong=drop"], "labels.on_wrong"),
        ([*JUDGE, "labels.on_wrong=negative"], "labels.on_wrong"),
    ],
)
def test_a_key_without_an_effect_is_refused_by_its_name(overrides: list[str], key: str) -> None:
    assert idle(*overrides) == [key]
    with pytest.raises(UserError, match=f"{key}=.* has no effect: .*; leave it out, or "):
        refuse_idle([asked(*overrides)])


@pytest.mark.parametrize(
    "overrides",
    [
        ["model.pretrain_steps=3", "data.kinds=HM", "data.wrong_rule=1", "data.seed=4"],
        [*JSONL, "data.kinds=HM"],  # the testbed's model has read of these
        [*OWN, *JSONL, "data.holdout=0.1", "data.seed=2", "eval.samples=2", "eval_every=5"],
        [*OWN, *JSONL, "data.eval_path=g", "eval.samples=2", "checkpoint.keep_best=true"],
        ["data=knights", "data.people=[3,4]", "data.eval_people=[5]", "eval.samples=2"],
        ["acquisition=random", "unlabelled=soft", "soft_adv=2", "reward=self_certainty"],
        ["acquisition=care", "soft_adv=2", "reward=self_certainty", "reuse_labels=true"],
        ["acquisition=full", "budget_total=5", "unlabelled=pseudo"],
        ["algorithm.micro_tokens=99"],
        ["algorithm.micro_batch=9"],
        ["algorithm=dapo", "algorithm.overlong.penalty=2"],
        ["algorithm.loss.settings.kl_coef=0.1", "algorithm.loss.settings.kl_estimator=k1"],
        ["rollout.gpu_memory_utilization=0.4", "rollout.kv_cache_gib=2"],
        ["rollout=hf", "rollout.tensor_parallel=1"],
        ["lora=default", "lora.alpha=4"],
        ["warning.action=rollback", "warning.act_on=hint", "warning.max_rollbacks=1"],
        ["warning.audit=both", "warning.action=stop", "warning.act_on=alarm"],
        ["warning.audit=both", "warning.kept_share=0.2", "warning.trust_floor=0.7"],
        ["tracking=offline", "tracking.tags=[a]", "tracking.checkpoints=true"],
        ["cluster.runs_per_node=2"],
        ["data=knights", *OWN_TASK],
        ["data=knights", "task=knights"],
        ["experiment=reasoning", "data.count=64", "data.eval_count=8", "model.pretrain_steps=3"],
        ["experiment=reasoning", "data.seed=4", "eval.samples=2", "data.eval_limit=8"],
        ["labels=people", "labels.ask=verdict", "labels.on_wrong=negative"],
        [*JUDGE, "labels.mode=verify", "labels.on_wrong=negative"],
        ["acquisition=care", "budget=1", "unlabelled=trusted"],
        ["acquisition=care", "budget=1", "unlabelled=pseudo", "reward=self_certainty"],
        ["acquisition=full", *OWN_POLICY, "unlabelled=pseudo"],
        [*OWN, *JSONL, "data.system_role=merge", "data.stop_at_turn_end=false"],
        [*OWN, *JSONL, "acquisition.candidates=labelled", "cluster.check_memory=false"],
        ["data.system_role=keep", "data.stop_at_turn_end=true", "cluster.check_memory=true"],
        ["data.holdout=0", "data.seed=2"],  # of the testbed's model
        ["acquisition=none", "budget=null"],
        ["acquisition=full", "budget=1"],
        [*OWN, *JSONL, "eval_every=0", "checkpoint.keep_best=false", "data.eval_limit=0"],
    ],
)
def test_a_key_with_an_effect_and_one_that_says_what_is_so_anyhow_are_taken(
    overrides: list[str],
) -> None:
    assert idle(*overrides) == []


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_shipped_experiments_hold_no_key_without_an_effect(name: str) -> None:
    assert idle(f"experiment={name}") == []


def test_a_key_of_an_experiment_counts_unless_the_command_line_decides_about_it() -> None:
    config = composed(*OWN, *JSONL)
    given = Given(typed={}, experiment={"data.people": [3], "lora.alpha": 2.0})
    assert [one.key for one in idle_keys(config, given, RULES)] == ["data.people", "lora.alpha"]
    typed = Given(typed={"data": "jsonl"}, experiment=given.experiment)
    assert [one.key for one in idle_keys(config, typed, RULES)] == ["lora.alpha"]
    assert idle("experiment=knights", "acquisition=none", "budget=null") == []


def test_a_sweep_may_give_a_key_that_some_of_its_runs_do_not_feel() -> None:
    runs = [asked(f"acquisition={name}", "soft_adv=2") for name in ("random", "care")]
    refuse_idle(runs)
    with pytest.raises(UserError, match="soft_adv=2 has no effect"):
        refuse_idle(runs[:1])


def test_a_sweep_that_was_interrupted_goes_on_with_the_same_command() -> None:
    begun = asked("acquisition=care", "soft_adv=2", exists=True)
    fresh = asked("acquisition=random", "soft_adv=2")
    refuse_idle([begun, fresh])
    with pytest.raises(UserError, match="soft_adv=2 has no effect"):
        refuse_idle([asked("acquisition=random", "soft_adv=2", "seed=2", exists=True), fresh])


def test_a_run_that_is_there_already_goes_on() -> None:
    with pytest.raises(UserError, match=r"lora\.alpha=4 has no effect"):
        refuse_idle([asked("lora.alpha=4")])
    refuse_idle([asked("lora.alpha=4", exists=True)])


def test_all_are_named_at_once_with_what_to_type() -> None:
    with pytest.raises(UserError) as told:
        refuse_idle([asked("model.path=/m", "lora.alpha=4")])
    assert "say model=pretrained model.path=FOLDER_OR_HUB_NAME" in str(told.value)
    assert "say lora=default" in str(told.value)


def test_what_was_given_is_read_as_hydra_reads_it() -> None:
    given = given_of(["algorithm/loss=gspo", "+data.x=[1,2]", "~lora", "lora={rank: 2}", "m=a,b"])
    assert given.typed.keys() == {"algorithm.loss", "data.x", "lora.rank", "m"}
    assert given.typed["data.x"] == [1, 2]
    content = {
        "defaults": ["math", {"override /data": "knights"}],
        "data": {"count": 3},
        "hydra": 1,
    }
    assert experiment_keys(content) == {"data": "knights", "data.count": 3}
    swept = {"hydra": {"sweeper": {"params": {"budget": "0.1,0.2"}}}}
    assert (sweep_of(swept), sweep_of({"hydra": None})) == ("budget=0.1,0.2", "")


@pytest.mark.parametrize(
    ("task", "own", "message"),
    [
        ([], ["hydra.launcher.ranks=2"], "hydra.launcher.ranks=2 has no effect: .* add -m"),
        (["retry_failed=true"], [], "retry_failed=true has no effect"),
        (
            ["cluster=template"],
            [],
            "cluster=template has no effect: .* add -m hydra/launcher=slurm",
        ),
    ],
)
def test_what_is_about_sweeps_is_refused_for_a_single_run(
    task: Sequence[str], own: Sequence[str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        refuse_outside_sweep(task, own, HYDRA)


def test_an_experiment_that_is_a_sweep_is_not_started_as_one_run() -> None:
    choices = {"experiment": "math_budgets"}
    hydra = OmegaConf.create({"runtime": {"config_sources": [], "choices": choices}})
    with pytest.raises(UserError, match=r"experiment=math_budgets is a sweep over budget=0\.05"):
        refuse_outside_sweep(["experiment=math_budgets"], [], hydra)
    refuse_outside_sweep(["cluster.threads=2"], ["hydra.searchpath=[]"], HYDRA)


def test_an_experiment_of_ones_own_is_looked_at_where_hydra_found_it(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment/mine.yaml").write_text("lora:\n  alpha: 3\n")
    source = {"path": str(tmp_path), "schema": "file", "provider": "hydra.searchpath"}
    hydra = OmegaConf.create({"runtime": {"config_sources": [source]}})
    assert given_of(["experiment=mine"], hydra).experiment == {"lora.alpha": 3}
    assert given_of(["experiment=mine"]).experiment == {}
