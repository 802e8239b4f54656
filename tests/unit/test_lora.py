"""Adapters: what is trained, what an engine and a checkpoint get, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from rlavr_hpc.commands.plan import sizes_of
from rlavr_hpc.config.lora import LoraConfig
from rlavr_hpc.errors import UserError
from rlavr_hpc.learning.logprobs import token_logprobs
from rlavr_hpc.planning.adapters import trained_parameters
from rlavr_hpc.planning.duration import seconds
from rlavr_hpc.planning.memory import phases
from rlavr_hpc.planning.shape import KNOWN
from rlavr_hpc.rollout.hf_engine import HfEngine
from rlavr_hpc.runs.identity import from_dict, hash8, identity, to_dict
from rlavr_hpc.trainer.policy.adapters import (
    Adapters,
    check_same,
    fingerprint,
    merged,
    read_adapters,
    tensor_digest,
)
from rlavr_hpc.trainer.policy.lora import add_adapters, without_adapters, write_adapter
from rlavr_hpc.trainer.policy.scoring_model import ScoringModel
from rlavr_hpc.trainer.policy.weight_sync import sync_weights
from rlavr_hpc.trainer.policy.whole_weights import GatheredWeights, named_weights
from tests.support.configs import composed

SHAPE: dict[str, Any] = {
    "hidden_size": 8,
    "intermediate_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "vocab_size": 16,
}
IDS = torch.tensor([[1, 2, 3, 4, 5]])
ADAPTERS = Adapters(rank=2, alpha=3.0, targets=("q_proj",), dtype="float32", base="0" * 16)
WHERE = Path("run/checkpoints/step_3")


def tiny(seed: int = 0, *, tied: bool = False) -> Any:  # noqa: ANN401
    torch.manual_seed(seed)
    config = AutoConfig.for_model("qwen2", tie_word_embeddings=tied, **SHAPE)
    return AutoModelForCausalLM.from_config(config).eval()


def adapted(*targets: str, seed: int = 7, tied: bool = False, b: float = 0.0) -> Any:  # noqa: ANN401
    """A tiny model with adapters of rank 2 whose B holds one value everywhere."""
    model = tiny(tied=tied)
    lora = LoraConfig(rank=2, alpha=3.0, targets=list(targets) or ["all-linear"])
    add_adapters(model, lora, seed=seed)
    for name, parameter in model.named_parameters():
        if "lora_B" in name and b:
            torch.nn.init.constant_(parameter, b)
    return model


def wrapped(model: Any) -> ScoringModel:  # noqa: ANN401
    return ScoringModel(model, temperature=1.0, chunk=8)


def logits(model: Any) -> torch.Tensor:  # noqa: ANN401
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=IDS).logits
    return found


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("lora.rank=-1", "lora.rank=-1 must be at least 0"),
        ("lora.alpha=0", "lora.alpha=0.0 must be above 0"),
        ("lora.alpha=inf", "lora.alpha=inf must be above 0"),
        ("lora.targets=[]", "names no layers"),
        ("lora.targets=[q_proj,all-linear]", "all-linear leaves nothing"),
        ("+lora.dropout=0.1", "dropout"),
    ],
)
def test_impossible_settings_are_refused_with_a_reason(override: str, message: str) -> None:
    with pytest.raises(Exception, match=message):
        composed("lora=default", override)


def test_runs_without_adapters_keep_the_names_they_had_before_there_were_any() -> None:
    config = composed()
    before = {key: value for key, value in to_dict(config).items() if key != "lora"}
    assert from_dict(before).lora == LoraConfig()
    assert not [key for key in identity(config) if key.startswith("lora")]
    names = {hash8(composed("lora=default", *more)) for more in ([], ["lora.alpha=8"])}
    assert len({hash8(config), *names}) == 3


def test_at_first_a_model_with_adapters_computes_what_it_did_and_trains_nothing_else() -> None:
    model = adapted()
    assert torch.equal(logits(model), logits(tiny()))
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert len(trained) == 2 * 7 * 2  # A and B of seven matrices in two layers
    assert all(".lora_A.default." in name or ".lora_B.default." in name for name in trained)
    assert not any("lm_head" in name for name in trained)


def test_first_values_depend_on_seed_and_name_alone() -> None:
    def first(seed: int, *targets: str) -> torch.Tensor:
        torch.manual_seed(seed + 99)  # a global generator in another state
        layer = adapted(*targets, seed=seed).model.layers[1].self_attn.v_proj
        found: torch.Tensor = layer.lora_A.default.weight
        return found

    assert torch.equal(first(7), first(7, "v_proj"))
    assert not torch.equal(first(7), first(8))
    assert first(7).abs().max() <= 8**-0.5
    model = adapted()
    other = model.model.layers[0].self_attn.v_proj.lora_A.default.weight
    assert not torch.equal(other, first(7))
    torch.manual_seed(5)
    expected = torch.rand(1)
    model, lora = tiny(), LoraConfig(rank=2)
    torch.manual_seed(5)
    add_adapters(model, lora, seed=1)
    assert torch.equal(torch.rand(1), expected), "the global generator was used"


@pytest.mark.parametrize("target", ["lm_head", "embed_tokens", "nothing_proj"])
def test_targets_that_no_adapter_can_stand_beside_are_refused(target: str) -> None:
    with pytest.raises(UserError, match=target):
        add_adapters(tiny(), LoraConfig(rank=2, targets=[target]), seed=1)


def test_a_merged_weight_by_hand() -> None:
    w_OI = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    a_rI, b_Or = torch.tensor([[1.0, 10.0]]), torch.tensor([[0.5], [2.0]])
    expected = [[1 + 1.5 * 0.5, 2 + 1.5 * 5], [3 + 1.5 * 2, 4 + 1.5 * 20]]
    assert merged(w_OI, a_rI, b_Or, scale=1.5).tolist() == expected


@pytest.mark.parametrize("tied", [False, True])
def test_whole_weights_have_the_names_and_make_the_logits_of_the_model_without_adapters(
    tied: bool,
) -> None:
    model = adapted(b=0.1, tied=tied)
    weights = {
        name: weight.value()
        for weight in named_weights(wrapped(model), scale=1.5)
        for name in weight.names
    }
    plain = tiny(seed=1, tied=tied)
    assert weights.keys() == dict(plain.named_parameters(remove_duplicate=False)).keys()
    plain.load_state_dict(weights, strict=True)
    assert torch.allclose(logits(plain), logits(model), atol=1e-6)
    assert not torch.allclose(logits(plain), logits(tiny(tied=tied)), atol=1e-3)


def test_what_moves_is_the_whole_block_of_a_target_and_nothing_else() -> None:
    """VLLM holds queries, keys and values in one matrix, and loads it only as a whole."""
    moving = {w.names[0] for w in named_weights(wrapped(adapted("1.self_attn.q_proj"))) if w.moves}
    attention = {f"{matrix}_proj.{kind}" for matrix in "qkv" for kind in ("weight", "bias")} | {
        "o_proj.weight"
    }
    assert moving == {f"model.layers.1.self_attn.{name}" for name in attention}
    assert all(weight.moves for weight in named_weights(wrapped(tiny())))


def test_weights_are_gathered_in_buckets_and_only_the_moving_ones_on_demand() -> None:
    gathered: list[int] = []

    @contextmanager
    def gather(parts: list[torch.nn.Parameter]) -> Iterator[None]:
        gathered.append(len(parts))
        yield

    lora = LoraConfig(rank=2, alpha=3.0, targets=["gate_proj"])
    model = wrapped(adapted("gate_proj", b=0.1))
    weights = GatheredWeights(model, lora, gather=gather)
    moving = dict(weights.whole(bucket_bytes=1 << 30, moving_only=True))
    assert gathered == [2 * (3 + 2)]  # three matrices a layer, A and B of one
    layers = range(2)
    names = [
        f"model.layers.{i}.mlp.{m}_proj.weight" for i in layers for m in ("gate", "up", "down")
    ]
    assert list(moving) == names
    everything = dict(weights.whole(bucket_bytes=1 << 30, moving_only=False))
    assert len(everything) == len(dict(tiny().named_parameters()))
    assert all(torch.equal(everything[name], moving[name]) for name in names)
    plain = tiny(seed=1)
    plain.load_state_dict(everything, strict=True)
    assert torch.allclose(logits(plain), logits(model.language_model), atol=1e-6)


def test_without_adapters_is_the_model_they_were_put_beside() -> None:
    model = adapted(b=0.1)
    with_them = logits(model)
    with without_adapters(model):
        assert torch.equal(logits(model), logits(tiny()))
    assert torch.equal(logits(model), with_them)
    assert not torch.allclose(with_them, logits(tiny()), atol=1e-3)


def test_a_frozen_heads_gradient_is_not_computed_and_the_others_stays_the_same() -> None:
    hidden, target = torch.randn(6, 4), torch.tensor([0, 1, 2, 0, 1, 2])
    grads = []
    for trained in (True, False):
        weight = torch.ones(3, 4).cumsum(0).requires_grad_(trained)
        mine = hidden.clone().requires_grad_()
        logp, _ = token_logprobs(mine, weight, target, temperature=1.0, chunk=4)
        logp.sum().backward()
        grads.append(mine.grad)
        assert (weight.grad is None) is not trained
    assert grads[0] is not None
    assert grads[1] is not None
    assert torch.equal(grads[0], grads[1])


def test_a_fingerprint_is_of_names_formats_and_values_in_any_order() -> None:
    weights = {"a": torch.ones(3), "b": torch.zeros(2, dtype=torch.bfloat16)}

    def of(**other: torch.Tensor) -> str:
        return fingerprint({n: tensor_digest(t) for n, t in {**weights, **other}.items()})

    backwards = {name: tensor_digest(weights[name]) for name in ("b", "a")}
    assert fingerprint(backwards) == of()
    changed = torch.ones(3)
    changed[2] = torch.nextafter(changed[2], torch.tensor(2.0))
    others = [of(a=changed), of(a=torch.ones(3).double()), of(a=torch.ones(3, 1))]
    assert len({of(), *others, of(c=torch.ones(1))}) == 5


@pytest.mark.parametrize(
    ("saved", "mine", "message"),
    [
        (None, ADAPTERS, "holds all weights, and this run trains adapters; set lora.rank=0"),
        (ADAPTERS, None, "holds adapters, and this run trains all weights; set lora.rank=2"),
        (ADAPTERS, replace(ADAPTERS, rank=4), "rank 2 on q_proj, and this run has rank 4"),
        (ADAPTERS, replace(ADAPTERS, base="f" * 16), "0000 holds|fingerprint 0000.*have ffff"),
    ],
)
def test_a_checkpoint_of_other_weights_is_refused(
    saved: Adapters | None, mine: Adapters | None, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        check_same(saved, mine, where=WHERE)


def test_a_checkpoint_of_the_same_adapters_is_continued_also_with_another_alpha() -> None:
    check_same(ADAPTERS, replace(ADAPTERS, alpha=1.0), where=WHERE)
    check_same(None, None, where=WHERE)
    assert read_adapters(json.loads(json.dumps(ADAPTERS.as_dict()))) == ADAPTERS


def test_peft_loads_what_was_written_and_the_folder_is_the_same_every_time(tmp_path: Path) -> None:
    from peft import PeftModel

    model = adapted(b=0.1)
    tensors = {n: p.data for n, p in model.named_parameters() if p.requires_grad}
    targets = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    for name in ("one", "two"):
        write_adapter(tmp_path / name, replace(ADAPTERS, targets=targets), tensors, base="tiny")
    loaded = PeftModel.from_pretrained(tiny(), tmp_path / "one")
    assert torch.equal(logits(loaded), logits(model))
    plain = tiny()
    plain.load_adapter(str(tmp_path / "one"))  # as the card says
    assert torch.equal(logits(plain), logits(model))
    told = json.loads((tmp_path / "one/adapter_config.json").read_text())
    assert (told["base_model_name_or_path"], told["r"], told["lora_alpha"]) == ("tiny", 2, 3.0)
    assert told["target_modules"] == sorted(targets)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


class FrozenPolicy:
    """Two weights, of which one moves."""

    version = 1
    has_frozen = True

    def weights(
        self, *, bucket_bytes: int, moving_only: bool = False
    ) -> Iterator[tuple[str, torch.Tensor]]:
        yield "moving", torch.tensor([float(self.version)])
        if not moving_only:
            yield "frozen", torch.tensor([7.0])

    def offload_states(self) -> None:
        """Nothing to move."""

    def reload_states(self) -> None:
        """Nothing to move."""


def hf_engine() -> HfEngine:
    engine = object.__new__(HfEngine)
    engine._targets = {name: torch.nn.Parameter(torch.zeros(1)) for name in ("moving", "frozen")}
    engine.weights_version = None
    return engine


def test_what_never_changes_is_sent_once_and_again_to_an_engine_that_lost_it() -> None:
    policy, engine = FrozenPolicy(), hf_engine()

    def sent() -> dict[str, float]:
        """What the engine holds after a sync; before it, the frozen weight is spoilt."""
        policy.version += 1
        engine._targets["frozen"].data.zero_()
        sync_weights(policy, engine, bucket_mib=1)
        assert engine.weights_version == policy.version
        return {name: target.item() for name, target in engine._targets.items()}

    assert sent() == {"moving": 2.0, "frozen": 7.0}
    assert sent() == {"moving": 3.0, "frozen": 0.0}
    engine.weights_version = None  # as after a sleep
    assert sent() == {"moving": 4.0, "frozen": 7.0}


def test_an_engine_whose_sync_broke_off_holds_nothing_of_value() -> None:
    engine = hf_engine()
    engine.weights_version = 1

    def broken() -> Iterator[tuple[str, torch.Tensor]]:
        yield "moving", torch.zeros(1)
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        engine.sync(broken(), version=2, partial=True)
    assert engine.weights_version is None
    engine.sync([("moving", torch.zeros(1))], version=2, partial=True)
    assert engine.weights_version is None, "there is nothing that a part could complete"


def test_a_planned_models_adapters_by_hand() -> None:
    shape = KNOWN["Qwen/Qwen3-0.6B"]  # D 1024, F 3072, Q 2048, KV 1024, 28 layers
    q, kv, o, ffn = 1024 + 2048, 1024 + 1024, 2048 + 1024, 1024 + 3072
    lora = LoraConfig(rank=16)
    assert trained_parameters(shape, lora) == 28 * 16 * (q + 2 * kv + o + 3 * ffn) == 10_092_544
    assert trained_parameters(shape, replace(lora, targets=["q_proj"])) == 28 * 16 * q
    assert trained_parameters(shape, LoraConfig()) == shape.parameters
    fused = KNOWN["microsoft/Phi-4-mini-instruct"]
    with pytest.raises(UserError, match="phi3 has no q_proj; it has qkv_proj"):
        trained_parameters(fused, replace(lora, targets=["q_proj"]))


@pytest.mark.parametrize("name", ["qwen2", "phi3", "llama"])
def test_a_plan_counts_the_adapters_that_peft_makes(name: str) -> None:
    from rlavr_hpc.planning.shape import read_shape

    more = {"pad_token_id": 0} if name == "phi3" else {}
    config = AutoConfig.for_model(name, **SHAPE, **more)
    model = AutoModelForCausalLM.from_config(config)
    add_adapters(model, LoraConfig(rank=2), seed=1)
    made = sum(p.numel() for p in model.parameters() if p.requires_grad)
    shape = read_shape(config.to_dict(), where="x")
    assert trained_parameters(shape, LoraConfig(rank=2)) == made


def test_a_plan_with_adapters_by_hand() -> None:
    plan = ("model=Qwen/Qwen3-0.6B", "gpus=2", "algorithm.loss.settings.kl_coef=0.1")
    sizes = sizes_of([*plan, "lora=default"])
    base, adapters = 596_049_920 / 2, 10_092_544 / 2
    held = next(phase for phase in phases(sizes) if phase.name == "checkpoint")
    assert held.device["weights' share"] == 2 * (base + adapters)
    assert held.device["master copy, moments"] == 12 * adapters
    assert held.device["gradient"] == 4 * adapters
    assert held.host["checkpoint's copy"] == 12 * adapters
    assert held.device["head's gradient"] == 0
    assert "reference's share" not in held.device  # the policy without its adapters
    whole, lighter = seconds(sizes_of(plan)), seconds(sizes)
    assert whole is not None
    assert lighter is not None
    assert lighter.train == pytest.approx(whole.train * 2 / 3)


def test_a_card_says_how_adapters_are_loaded_and_what_was_trained() -> None:
    from rlavr_hpc.release.card import model_card
    from tests.unit.test_release import FACTS

    alone = replace(FACTS.weights, lora_rank=16, adapter=True, parameters=5_000)
    card = model_card(replace(FACTS, weights=alone))
    assert "library_name: peft" in card
    assert "base_model_relation: adapter" in card
    assert 'AutoModelForCausalLM.from_pretrained("Qwen/Qwen3-4B", dtype="bfloat16")' in card
    assert "- trained: adapters (LoRA) of rank 16\n" in card
    whole = model_card(replace(FACTS, weights=replace(alone, adapter=False)))
    assert "library_name: transformers" in whole
    assert "- trained: adapters (LoRA) of rank 16, merged into the weights here\n" in whole


def test_exporting_adapters_needs_a_run_that_has_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from rlavr_hpc.trainer.checkpoint import consolidate

    checkpoint = SimpleNamespace(folder=tmp_path)
    (tmp_path / "shards").mkdir()
    torch.save({}, tmp_path / "shards/zero_pp_rank_0_mp_rank_00_model_states.pt")
    with pytest.raises(UserError, match="holds all weights and no adapters"):
        consolidate.write_adapters(
            cast(Any, checkpoint),
            tmp_path / "out",
            model=composed().model,
            base=cast(Any, None),
            name="x",
        )
