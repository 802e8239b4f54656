"""The model card word by word, a base model's name, and a folder that is whole or not there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from rlavr_hpc.acquisition.ledger_state import LedgerState
from rlavr_hpc.acquisition.purchase_history import Purchase
from rlavr_hpc.config.model import Dtype, ModelConfig, ModelSource
from rlavr_hpc.errors import RlavrError, UserError
from rlavr_hpc.release.card import model_card
from rlavr_hpc.release.facts import (
    Code,
    Facts,
    LabelSpend,
    Method,
    Origin,
    TrainingOutcome,
    Weights,
)
from rlavr_hpc.release.record import describe_weights
from rlavr_hpc.release.staging import check_free, staged
from rlavr_hpc.runs.provenance import read_provenance, write_provenance
from rlavr_hpc.types import StepKey

FACTS = Facts(
    origin=Origin(
        run="math",
        config_hash="0badcafe",
        config_changed=False,
        seed=3,
        step=100,
        steps=300,
        branch=0,
        attempt=2,
        ranks=8,
        manifest_sha256="ab" * 32,
    ),
    weights=Weights(
        base="Qwen/Qwen3-4B",
        on_hub=True,
        parameters=4_022_468_096,
        dtype="bfloat16",
        trained_dtype="bfloat16",
        trust_remote_code=False,
    ),
    method=Method(
        acquisition="care",
        uses_oracle=False,
        unlabelled="trusted",
        reward="vote",
        loss="grpo",
        learning_rate=1e-6,
        batch=64,
        group_size=8,
        temperature=1.0,
        max_response_tokens=4000,
        stop_token_ids=(151643, 151645),
        data="parquet",
        prompts=7500,
        prompts_fingerprint="0123456789abcdef",
        chat_template=True,
        system_prompt=False,
    ),
    spend=LabelSpend(
        budget=0.02,
        budget_effective=0.03125,
        quota=2,
        budget_total=1500,
        bought=198,
        allowed=200,
        reused=41,
        void=2,
        cost=396.5,
    ),
    outcome=TrainingOutcome(
        statistic="mean@8",
        held_out=500,
        accuracy_start=0.41249,
        accuracy=0.5,
        last_measured=(100, 0.5),
        collapsed=False,
        early_warning={"step": 61, "risk": 0.514, "reason": "answers agree more"},
    ),
    code=Code(
        revision="f" * 40,
        earlier_revisions=("e" * 40,),
        python="3.11.7",
        packages={"torch": "2.13.0", "deepspeed": "0.19.8"},
    ),
)

BODY = f"""\
## Labels

- acquisition policy: care
- budget: 2.0% of prompts asked, 3.1% effective (2 of 64 a step, at most 1,500 in all)
- labels bought: 198 of 200 allowed by this step
- labels reused free of charge: 41
- purchases that met no label: 2
- cost: 396.5

## Results

- held-out mean@8 on 500 prompts, before training: 0.412
- held-out mean@8 on 500 prompts, at this step: 0.500
- collapsed by step 100: no
- hint of collapse: at step 61, risk 0.51: answers agree more

## Training

- data: parquet, 7,500 prompts (fingerprint 0123456789abcdef)
- a step: 64 prompts x 8 rollouts
- loss: grpo, learning rate 1e-06
- reward without a label: vote; prompts without one: trusted

## Provenance

- run: math, config hash 0badcafe, seed 3
- checkpoint: step 100, branch 0, written by attempt 2 on 8 ranks
- sha256 of the checkpoint's manifest: {"ab" * 32}
- code revision: {"f" * 40}
- earlier attempts ran on: {"e" * 40}
- versions: Python 3.11.7, deepspeed 0.19.8, torch 2.13.0
"""


def test_the_card_says_every_figure_in_its_place() -> None:
    card = model_card(FACTS)
    assert card[card.index("## Labels") :] == BODY
    front = yaml.safe_load(card.split("---\n")[1])
    assert front == {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["rlavr", "reinforcement-learning", "verifiable-rewards"],
        "base_model": "Qwen/Qwen3-4B",
        "base_model_relation": "finetune",
    }
    assert "# math-0badcafe, step 100\n\n[Qwen/Qwen3-4B](https://huggingface.co/Qwen/" in card
    assert "after 100 of 300 steps" in card
    assert "4,022,468,096 parameters in bfloat16, as they were trained." in card
    assert "temperature 1 from the full\ndistribution, at most 4,000 new tokens" in card
    assert "ended by token 151643, 151645. Prompts were put in the chat template, without" in card
    assert "Research only" not in card
    assert "Collapsed." not in card
    assert json.loads(json.dumps(FACTS.as_dict()))["spend"]["bought"] == 198


def test_the_card_warns_of_an_oracle_a_collapse_and_changed_settings() -> None:
    facts = replace(
        FACTS,
        method=replace(FACTS.method, acquisition="cag_oracle", uses_oracle=True),
        outcome=replace(FACTS.outcome, collapsed=True),
        origin=replace(FACTS.origin, config_changed=True),
    )
    card = model_card(facts)
    assert "> **Research only.** acquisition=cag_oracle looks at labels that nobody bought" in card
    assert "> **Collapsed.**" in card
    assert "- the run has been given other settings since" in card


def test_the_card_says_what_is_not_known() -> None:
    facts = replace(
        FACTS,
        outcome=replace(
            FACTS.outcome,
            held_out=None,
            accuracy_start=None,
            accuracy=None,
            last_measured=(50, 0.25),
            collapsed=None,
            early_warning=None,
        ),
        method=replace(FACTS.method, prompts=None, chat_template=None),
        code=Code(revision=None, earlier_revisions=(), python=None, packages={}),
    )
    card = model_card(facts)
    for line in (
        "- held-out mean@8, at this step: not measured (0.250 at step 50)\n",
        "- collapsed by step 100: not known\n",
        "- hint of collapse: none\n",
        "- data: parquet (fingerprint",
        "- code revision: not recorded\n- versions: not recorded\n",
        "chat template was not recorded, without",
    ):
        assert line in card
    never = replace(facts, outcome=replace(facts.outcome, last_measured=None))
    assert "- held-out mean@8: not measured\n" in model_card(never)


@pytest.mark.parametrize(
    ("trained", "written", "told"),
    [
        ("float32", "float32", "float32, as they were trained"),
        ("float32", "bfloat16", "bfloat16, rounded from the float32 of training"),
        ("bfloat16", "float32", "float32: the optimizer's own copy of weights that ran in bfloat"),
    ],
)
def test_the_card_says_how_the_number_format_came_about(
    trained: str, written: str, told: str
) -> None:
    weights = replace(FACTS.weights, trained_dtype=trained, dtype=written)
    assert told in model_card(replace(FACTS, weights=weights))


def test_the_card_says_which_models_need_trust_in_their_code() -> None:
    weights = replace(FACTS.weights, trust_remote_code=True)
    card = model_card(replace(FACTS, weights=weights))
    assert "from_pretrained(folder, trust_remote_code=True)" in card
    assert 'dtype="auto", trust_remote_code=True)' in card
    assert "`vllm serve FOLDER --trust-remote-code`" in card
    assert "trust" not in model_card(FACTS).replace("trusted", "")


def test_a_local_base_model_is_named_without_its_path(tmp_path: Path) -> None:
    def described(path: str) -> tuple[str, bool]:
        model = ModelConfig(path=path, dtype=Dtype.bfloat16)
        weights = describe_weights(model, model, parameters=1)
        return weights.base, weights.on_hub

    (tmp_path / "tuned").mkdir()
    assert described(str(tmp_path / "tuned")) == ("tuned", False)
    assert described("/gone/since/tuned") == ("tuned", False)
    assert described("Qwen/Qwen3-4B") == ("Qwen/Qwen3-4B", True)
    for source in (ModelSource.testbed, ModelSource.reasoning):
        built = ModelConfig(source=source)
        assert describe_weights(built, built, parameters=1).base == source
    local = model_card(replace(FACTS, weights=replace(FACTS.weights, base="tuned", on_hub=False)))
    assert "base_model" not in local
    assert "A model from a local folder named `tuned`" in local


def test_what_was_bought_later_or_in_a_later_branch_does_not_count_here() -> None:
    bought = {"p": Purchase(answer="7", cost=1.5), "q": Purchase(answer=None, cost=0.5)}
    ledger_state = LedgerState(purchases={(0, 1): bought, (0, 2): bought, (1, 1): bought})
    past = ledger_state.until(StepKey(seed=1, step=1, branch=0))
    assert (past.bought, past.void, past.cost) == (1, 1, 2.0)
    assert ledger_state.until(StepKey(seed=1, step=1, branch=1)).cost == 6.0


def test_a_staged_folder_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "below/out"
    with staged(out) as folder:
        (folder / "a").write_text("1")
        assert not out.exists()
    assert [p.name for p in out.parent.iterdir()] == ["out"]
    other = tmp_path / "other"
    with pytest.raises(OSError, match="halfway"):
        _fail_halfway(other)
    assert {p.name for p in tmp_path.iterdir()} == {"below"}


def _fail_halfway(out: Path) -> None:
    with staged(out) as folder:
        (folder / "a").write_text("1")
        raise OSError("halfway")


def test_two_cannot_stage_the_same_folder_and_what_came_meanwhile_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with staged(out), pytest.raises(UserError, match="another export is writing"):
        staged(out).__enter__()
    assert out.is_dir(), "the second one disturbed the first"
    check_free(out)
    (out / "mine").write_text("1")
    with pytest.raises(OSError, match="not empty"), staged(out) as folder:
        (folder / "a").write_text("2")
    assert [p.name for p in out.iterdir()] == ["mine"]


def test_provenance_of_another_version_is_refused(tmp_path: Path) -> None:
    write_provenance(tmp_path, 1, {"data": {"prompts": 4}})
    assert read_provenance(tmp_path, 1)["data"] == {"prompts": 4}
    assert read_provenance(tmp_path, 2) == {}
    (tmp_path / "provenance/2.json").write_text('{"version": 9}')
    with pytest.raises(RlavrError, match="version 9 is not 1"):
        read_provenance(tmp_path, 2)


def test_names_and_texts_of_strangers_stay_text_in_the_card() -> None:
    name = "x`\n\n# Not a title\n- [click](javascript:1) <script>alert(1)</script> *now*"
    facts = replace(
        FACTS,
        weights=replace(FACTS.weights, base=name, on_hub=False),
        outcome=replace(
            FACTS.outcome, early_warning={"step": 1, "risk": 0.5, "reason": name + "\n```"}
        ),
        code=replace(FACTS.code, packages={name: "1"}),
    )
    card = model_card(facts)
    clean = model_card(replace(FACTS, weights=replace(FACTS.weights, base="tuned", on_hub=False)))
    assert len(card.splitlines()) == len(clean.splitlines()), "a text has begun a line"
    flat = "# Not a title - [click](javascript:1) <script>alert(1)</script> *now*"
    assert f"a local folder named ``x` {flat}`` after" in card
    told = [line for line in card.splitlines() if line.startswith(("- hint", "- versions"))]
    for line in told:
        assert r"x\` # Not a title - \[click\](javascript:1) &lt;script&gt;alert(1)" in line
        assert r"&lt;/script&gt; \*now\*" in line
    assert told[0].endswith(r"\`\`\`")
    adapter = replace(facts.weights, adapter=True, lora_rank=4, base='a"b\nc', on_hub=True)
    loading = model_card(replace(facts, weights=adapter))
    assert 'from_pretrained("a\\"b\\nc", dtype="bfloat16")' in loading
    assert yaml.safe_load(loading.split("---\n")[1])["base_model"] == 'a"b\nc'
