from __future__ import annotations

from pathlib import Path

import pytest
from hydra.errors import HydraException

from rlavr_hpc.config.data import FILE_KINDS
from rlavr_hpc.config.shipped import CONF
from rlavr_hpc.errors import UserError
from rlavr_hpc.runs.identity import changed_keys, from_dict, hash8, to_dict
from tests.support.configs import composed

NO_CHOICE_OF_A_RUN = ("model", "eval", "experiment")
"""`model` is tried with the data it needs, `experiment` below; `eval` holds test sets for the
evaluate command."""
EXPERIMENTS = sorted(path.stem for path in CONF.glob("experiment/*.yaml"))
PAPERS = [name for name in EXPERIMENTS if name != "reasoning"]
OPTIONS = sorted(
    (path.parent.name, path.stem)
    for path in CONF.glob("*/*.yaml")
    if path.parent.name not in NO_CHOICE_OF_A_RUN
)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["budget=1.5"], r"budget=1\.5 is outside \[0, 1\]"),
        (["acquisition=none", "budget=0.2"], "contradicts acquisition=none"),
        (["acquisition=full", "budget=0.5"], "contradicts acquisition=full"),
        (["budget=0"], "use acquisition=none"),
        (["acquisition=none", "unlabelled=drop"], "nothing would be learnt"),
        (["steps=0"], "steps=0 must be at least 1"),
        (["acquisition=none", "unlabelled=trusted"], "nothing would be learnt"),
        (["soft_adv=-1"], "soft_adv=-1"),
        (["algorithm.mini_batch=24"], "does not divide"),
        (["algorithm.group_size=1"], "algorithm.group_size=1"),
        (["budget=1e-12"], "nothing would be learnt"),
        (["budget_total=0"], "nothing would be learnt"),
        (["algorithm.beta1=1.5"], r"algorithm\.beta1=1\.5"),
        (["algorithm.weight_decay=-1"], r"weight_decay=-1"),
        (["algorithm.oversample=0"], r"algorithm\.oversample=0 must be at least 1"),
        (["algorithm.overlong.buffer=1"], r"overlong\.buffer=1\.0 is outside \[0, 1\)"),
        (["algorithm.overlong.penalty=0"], r"set algorithm\.overlong\.buffer=0"),
        (
            ["algorithm=dapo", "reward=self_certainty"],
            r"oversample=2 .* reward=self_certainty tells .* apart; use reward=vote or",
        ),
        (["rollout.temperature=0"], r"rollout\.temperature"),
        (["rollout=hf", "rollout.tensor_parallel=2"], "needs rollout=vllm"),
        (["name=a/b"], "name='a/b'"),
        (["data=parquet"], r"data\.path is missing"),
        (["model=pretrained", "data=jsonl", "data.path=x"], r"model\.path is missing"),
        (["model=pretrained", "model.path=x"], "data=testbed asks questions only model=testbed"),
        (["data=reasoning"], "data=reasoning and model=testbed do not go together: only model=re"),
        (["model=reasoning", "data=jsonl", "data.path=x"], "data=jsonl and model=reasoning do not"),
        (["model=reasoning"], "data=testbed asks questions only model=testbed"),
        (["experiment=reasoning", "data.holdout=0.1"], "data=reasoning makes its own puzzles"),
        (["data.holdout=1"], r"data\.holdout"),
        (["data.seed=-1"], r"data\.seed=-1 must be at least 0"),
        (["data=knights", "data.people=[3,9]"], r"data\.people=\[3, 9\]: .* 2 to 8 people, not 9"),
        (["data=knights", "data.eval_people=[1]"], r"data\.eval_people=\[1\]: .* not 1"),
        (["data=knights", "data.people=[]"], r"data\.people is empty"),
        (["data=knights", "data.count=0"], r"data\.count=0 must be at least 1"),
        (["data=knights", "data.eval_count=-1"], r"data\.eval_count=-1 must be at least 0"),
        (["data=knights", "data.holdout=0.1"], r"leave out data\.path"),
        (["data=knights", "data.path=x"], r"leave out data\.path"),
        (["data=knights", "data.eval_path=x"], r"leave out data\.path"),
        (["data=knights", "data.task=math"], r"leave out data\.path"),
        (["data=knights", "model=pretrained"], r"model\.path is missing"),
    ],
)
def test_an_impossible_config_is_refused_with_its_reason(
    overrides: list[str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        composed(*overrides)


@pytest.mark.parametrize(
    "override",
    ["bugdet=0.1", "+bugdet=0.1", "+acquisition.typo=1", "steps=many", "unlabelled=sometimes"],
)
def test_a_misspelt_key_and_a_value_of_the_wrong_type_are_refused(override: str) -> None:
    with pytest.raises((HydraException, UserError)):
        composed(override)


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option_of_every_group_composes(group: str, option: str) -> None:
    extra = ["data.path=file"] if option in FILE_KINDS else []
    extra += ["model=reasoning"] if option == "reasoning" else []
    assert composed(f"{group}={option}", *extra).steps == 150


@pytest.mark.parametrize(
    ("policy", "budget", "unlabelled"),
    [
        ("none", 0.0, "pseudo"),
        ("full", 1.0, "drop"),
        ("random", 0.2, "drop"),
        ("entropy", 0.2, "drop"),
    ],
)
def test_a_policy_brings_its_own_defaults(policy: str, budget: float, unlabelled: str) -> None:
    config = composed(f"acquisition={policy}")
    assert (config.budget, config.unlabelled) == (budget, unlabelled)


@pytest.mark.parametrize(
    ("budget", "batch", "quota"),
    [(0.2, 64, 13), (0.02, 64, 2), (0.25, 64, 16), (0.07, 100, 7), (1.0, 16, 16), (0.1, 10, 1)],
)
def test_the_quota_is_rounded_up_but_not_by_floating_point(
    budget: float, batch: int, quota: int
) -> None:
    config = composed(
        f"budget={budget}", f"algorithm.batch={batch}", f"algorithm.mini_batch={batch}"
    )
    assert config.quota == quota
    assert config.budget_effective == quota / batch


def test_the_testbed_pays_for_every_use_and_other_data_does_not() -> None:
    assert composed().reuse_labels is False
    assert composed("data=jsonl", "data.path=f").reuse_labels is True


@pytest.mark.parametrize("model", [["model=testbed"], ["model=pretrained", "model.path=x"]])
def test_puzzles_are_asked_of_any_model_like_data_from_a_file(model: list[str]) -> None:
    data = composed("data=knights", *model).data
    assert (data.kind, data.people, data.count) == ("knights", [3], 1000)
    assert (data.eval_people, data.eval_count) == ([], 100)


def test_the_testbed_with_worked_steps_is_one_experiment() -> None:
    config = composed("experiment=reasoning")
    assert (config.data.kind, config.model.source) == ("reasoning", "reasoning")
    assert (config.steps, config.algorithm.lr, config.reuse_labels) == (100, 2e-4, False)
    assert (config.algorithm.batch, config.algorithm.group_size) == (64, 8)
    assert config.data.count >= config.steps * config.algorithm.batch  # no prompt comes twice


def test_the_identity_ignores_what_does_not_change_results() -> None:
    plain = hash8(composed())
    same = ["steps=7", "run_dir=x", "root=y", "audit=false", "cluster.threads=3", "budget=0.2"]
    assert {hash8(composed(override)) for override in same} == {plain}
    other = ["seed=2", "budget=0.3", "algorithm.lr=1e-4", "rollout=hf", "data.seed=1"]
    assert plain not in {hash8(composed(override)) for override in other}


def test_what_came_later_does_not_rename_a_run_that_leaves_it_alone() -> None:
    then = composed("algorithm.lr=1e-3", "algorithm.overlong.buffer=0")  # the testbed's defaults
    assert hash8(then) == "8dd45cdd"
    others = [
        "algorithm=dapo",
        "algorithm=dr_grpo",
        "algorithm=gspo",
        "algorithm=cispo",
        "algorithm=rloo",
        "algorithm.advantage=centred",
        "algorithm.leave_out=flat",
        "algorithm.oversample=2",
        "algorithm.overlong.mask=true",
        "algorithm.overlong.buffer=0.1",
        "algorithm.loss.settings.kl_estimator=k2",
    ]
    assert len({hash8(composed(other)) for other in ["algorithm=grpo", *others]}) == 12


def test_a_config_survives_being_written_and_read() -> None:
    config = composed(
        "acquisition=full", "seed=3", "data=knights", "data.people=[3,5]", "algorithm=dapo"
    )
    assert from_dict(to_dict(config)) == config


def test_changed_keys_name_old_and_new_values() -> None:
    assert changed_keys(composed(), composed("seed=2", "steps=9")) == {"seed": (1, 2)}


def test_a_config_of_another_version_is_refused() -> None:
    with pytest.raises(UserError, match="version 99"):
        from_dict({**to_dict(composed()), "version": 99})


def test_the_config_folder_is_found() -> None:
    assert (Path(CONF) / "config.yaml").is_file()


@pytest.mark.parametrize("experiment", PAPERS)
def test_every_experiment_has_the_papers_settings(experiment: str) -> None:
    config = composed(f"experiment={experiment}")
    task = experiment.partition("_")[0]
    algorithm, rollout = config.algorithm, config.rollout
    assert (algorithm.batch, algorithm.group_size, algorithm.lr) == (64, 8, 1e-6)
    assert algorithm.mini_batch == {"math": 64, "knights": 32}[task]
    assert (rollout.max_prompt_tokens, rollout.max_response_tokens) == (1024, 4000)
    assert (rollout.temperature, config.eval.temperature, config.eval.top_p) == (1.0, 0.6, 0.95)
    assert (config.eval_every, config.save_every) == (20, 40)
    assert config.eval.samples == {"math": 8, "knights": 1}[task]
    assert algorithm.loss.settings["kl_coef"] == 0.0
    assert not config.reuse_labels
    assert config.name == experiment
    if config.acquisition.name == "care":
        assert config.budget == 0.2
        assert config.acquisition.settings["gate"] == 0.25


def test_the_papers_models_each_have_an_experiment_of_both_tasks() -> None:
    found = {(e.partition("_")[0], composed(f"experiment={e}").model.path) for e in PAPERS}
    models = {
        "Qwen/Qwen3-4B",
        "Qwen/Qwen3-8B-Base",
        "microsoft/Phi-4-mini-instruct",
        "meta-llama/Llama-3.1-8B-Instruct",
    }
    assert found == {(task, model) for task in ("math", "knights") for model in models}


def test_knights_are_trained_on_3_to_7_people_and_tested_on_3_to_8() -> None:
    data = composed("experiment=knights").data
    assert (data.people, data.eval_people) == ([3, 4, 5, 6, 7], [3, 4, 5, 6, 7, 8])


UNLABELLED = ("drop", "pseudo", "trusted", "soft")


@pytest.mark.parametrize("policy", ["random", "entropy", "avg_prob", "cag_oracle", "care"])
@pytest.mark.parametrize("unlabelled", UNLABELLED)
def test_every_policy_composes_with_every_use_of_the_unlabelled(
    policy: str, unlabelled: str
) -> None:
    config = composed(f"acquisition={policy}", f"unlabelled={unlabelled}")
    assert config.unlabelled == unlabelled


def test_defaults_for_the_unlabelled_are_the_methods() -> None:
    found = {
        name: str(composed(f"acquisition={name}").unlabelled)
        for name in (
            "none",
            "random",
            "entropy",
            "avg_prob",
            "cag_oracle",
            "care",
        )
    }
    expected = {**dict.fromkeys(found, "drop"), "none": "pseudo", "care": "trusted"}
    assert found == expected


def test_a_combination_that_does_less_than_it_says_is_remarked_on() -> None:
    assert composed("acquisition=care", "unlabelled=trusted").remarks == []
    (said,) = composed("acquisition=random", "unlabelled=trusted").remarks
    assert "trains like drop" in said
    (said,) = composed("acquisition=random", "unlabelled=soft").remarks
    assert "by chance" in said


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["warning.threshold=0"], r"warning\.threshold=0"),
        (["warning.action=stop"], "audits no vote, so that it is never raised; say warning.audit"),
        (
            ["warning.action=raise_budget", "budget_total=9", "acquisition=random"],
            "an alarm does not pass; say warning.act_on=hint",
        ),
        (["warning.audit=used", "acquisition=random"], "acquisition=random trusts none"),
        (["warning.audit=kept", "budget_cost=9"], "use budget_total"),
        (["warning.audit=kept", "labels=people"], "labels=people may need time"),
        (["warning.audit=kept", "warning.false_alarm=0.5"], r"outside \(0, 0\.5\)"),
        (["warning.audit=kept", "warning.kept_share=0"], "kept_share=0"),
        (["warning.audit=both", "warning.used_per_step=0"], "must be above 0"),
        (["warning.audit=both", "warning.trust_floor=1"], r"trust_floor=1\.0 is outside"),
        (["warning.budget_factor=0.5"], r"budget_factor=0\.5"),
        (["warning.action=raise_budget"], "set budget_total"),
        (
            ["warning.action=raise_budget", "budget_total=9", "acquisition=none"],
            "cannot change what acquisition=none",
        ),
    ],
)
def test_an_impossible_warning_is_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        composed(*overrides)
