"""Plans: parameter counts, memory by hand, what mends a plan, and the command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from rlavr_hpc.cli import call
from rlavr_hpc.commands.plan import sizes_of
from rlavr_hpc.errors import UserError
from rlavr_hpc.planning.duration import seconds
from rlavr_hpc.planning.fit import shortages, suggest
from rlavr_hpc.planning.memory import GIB, Phase, phases
from rlavr_hpc.planning.report import as_values
from rlavr_hpc.planning.shape import KNOWN, REASONING, TESTBED, ModelShape, read_shape
from rlavr_hpc.planning.sizes import Sizes, activations, layer_activations

TOY = ModelShape(
    kind="llama",
    hidden=8,
    ffn=16,
    layers=3,
    heads=4,
    kv_heads=2,
    head_dim=2,
    vocabulary=32,
    tied=True,
)
TIGHT = ("model=Qwen/Qwen3-4B", "gpu=a100-40", "algorithm.micro_batch=4")


def peak(sizes: Sizes, step_key: str = "gpu_gib") -> float:
    gib: float = as_values(sizes)["peak"][step_key]
    return gib


def phase(sizes: Sizes, name: str) -> Phase:
    return next(phase for phase in phases(sizes) if phase.name == name)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("Qwen/Qwen3-0.6B", 596_049_920),
        ("Qwen/Qwen3-1.7B", 1_720_574_976),
        ("Qwen/Qwen3-4B", 4_022_468_096),
        ("Qwen/Qwen3-8B", 8_190_735_360),
        ("Qwen/Qwen3-8B-Base", 8_190_735_360),
        ("meta-llama/Llama-3.1-8B", 8_030_261_248),
        ("microsoft/Phi-4-mini-instruct", 3_836_021_760),
    ],
)
def test_known_models_have_as_many_parameters_as_their_files(name: str, parameters: int) -> None:
    assert KNOWN[name].parameters == parameters


def test_parameters_by_hand() -> None:
    # a layer: q and o 8x8 each, k and v 8x4 each, three of 8x16, two norms of 8
    assert TOY.layer_parameters == 2 * 64 + 2 * 32 + 3 * 128 + 16 == 592
    assert TOY.parameters == 32 * 8 + 3 * 592 + 8 == 2040
    assert replace(TOY, tied=False).parameters == 2040 + 256
    assert replace(TOY, bias=True).parameters == 2040 + 3 * (8 + 4 + 4 + 8)
    assert replace(TOY, kind="qwen2").parameters == 2040 + 3 * (8 + 4 + 4)
    assert replace(TOY, kind="qwen3").parameters == 2040 + 3 * 2 * 2


@pytest.mark.parametrize("kind", ["qwen2", "qwen3", "llama"])
def test_shapes_count_what_transformers_builds(kind: str) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(
        kind,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=64,
        head_dim=8,
        tie_word_embeddings=False,
    )
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    built = sum(parameter.numel() for parameter in model.parameters())
    assert read_shape(config.to_dict(), where="x").parameters == built


def test_the_testbeds_shape_is_that_of_its_model() -> None:
    from rlavr_hpc.planning.sizes import TESTBED_PROMPT
    from rlavr_hpc.testbed.base_model import build_tokenizer
    from rlavr_hpc.testbed.questions import make_world

    tokenizer = build_tokenizer()
    questions = make_world("HMHHMHXX", wrong_rule=0).questions
    assert len(tokenizer) == TESTBED.vocabulary
    assert {len(tokenizer.encode(q.text)) for q in questions} == {TESTBED_PROMPT}


def test_the_shape_with_worked_steps_is_that_of_its_model() -> None:
    from rlavr_hpc.testbed.reasoning.base_model import ReasoningRecipe, new_model

    model = new_model(ReasoningRecipe(seed=0, steps=1, tied=False))
    built = sum(parameter.numel() for parameter in model.parameters())
    assert built == REASONING.parameters == 170_112


def test_a_trainers_states_by_hand() -> None:
    sizes = sizes_of(["model=Qwen/Qwen3-0.6B", "gpus=2"])
    share = 596_049_920 / 2
    held = phase(sizes, "train").device
    assert held["weights' share"] == 2 * share
    assert held["master copy, moments"] == 12 * share
    assert held["gradient"] == 4 * share
    assert held["gathered weights"] == 2 * 596_049_920
    assert "vLLM" not in held  # asleep
    assert phase(sizes, "generate").device["vLLM"] == 0.5 * 79.6 * GIB
    assert phase(sizes, "checkpoint").host["checkpoint's copy"] == 12 * share
    float32 = phase(sizes_of(["model=Qwen/Qwen3-0.6B", "gpus=2", "model.dtype=float32"]), "train")
    assert float32.device["weights' share"] == 4 * share


def test_a_lone_rank_gathers_nothing() -> None:
    sizes = sizes_of(["model=Qwen/Qwen3-0.6B"])
    assert "gathered weights" not in phase(sizes, "train").device


def test_activations_by_hand() -> None:
    sizes = replace(sizes_of(["algorithm.micro_batch=1", "model.dtype=float32"]), shape=TOY)
    # norms 2 x 8 x (4 + 8); attention 4 x (3 x 8 + 4 x 4); feed-forward 4 x 4 x 16
    assert layer_activations(sizes) == 192 + 160 + 256
    tokens = 7 + 8
    assert activations(sizes) == 3 * 608 * tokens
    sizes.config.deepspeed.gradient_checkpointing = True
    assert activations(sizes) == (3 * 8 * 4 + 608) * tokens


def test_settings_move_memory_as_they_should() -> None:
    base = ("model=Qwen/Qwen3-4B", "gpus=4", "algorithm.micro_batch=8")

    def train(*more: str) -> float:
        return sum(phase(sizes_of([*base, *more]), "train").device.values())

    whole = train()
    for less in (
        "deepspeed.gradient_checkpointing=true",
        "algorithm.micro_batch=4",
        "deepspeed.offload_optimizer=cpu",
        "nodes=2",
    ):
        assert train(less) < whole, less
    assert train("model.dtype=float32") > whole
    assert train("algorithm.loss.settings.kl_coef=0.1") > whole
    low, high = (
        peak(
            sizes_of(
                [
                    *base,
                    "deepspeed.gradient_checkpointing=true",
                    "algorithm.micro_batch=1",
                    f"rollout.gpu_memory_utilization={share}",
                ]
            )
        )
        for share in (0.3, 0.8)
    )
    assert low < high
    offloaded = sizes_of([*base, "deepspeed.offload_optimizer=cpu"])
    assert peak(offloaded, "host_gib") > peak(sizes_of(base), "host_gib")


def test_a_larger_draw_is_generated_and_scored_but_not_trained_on() -> None:
    base = ["model=Qwen/Qwen3-0.6B", "gpus=2"]
    one, two = (seconds(sizes_of([*base, f"algorithm.oversample={k}"])) for k in (1, 2))
    assert one is not None
    assert two is not None
    assert two.score == pytest.approx(2 * one.score)
    assert two.train == one.train
    assert two.generate > one.generate


def test_on_cpu_all_is_in_host_memory() -> None:
    sizes = sizes_of(["model=Qwen/Qwen3-0.6B", "gpu=cpu", "gpus=2"])
    assert peak(sizes) == 0
    assert peak(sizes, "host_gib") > 12 * 596_049_920 / 2 / GIB
    assert as_values(sizes)["time"] is None
    assert shortages(sizes_of(["gpu=cpu", "host_gib=1"]))
    assert not shortages(sizes_of(["gpu=cpu", "host_gib=8"]))


@pytest.mark.parametrize(
    "overrides",
    [
        TIGHT,
        (*TIGHT, "gpus=4"),
        ("model=Qwen/Qwen3-8B", "gpus=2", "gpu=a100-40"),
        ("model=Qwen/Qwen3-8B", "gpus=8", "gpu=l40s", "rollout.gpu_memory_utilization=0.9"),
        ("model=Qwen/Qwen3-8B", "gpus=8", "rollout.gpu_memory_utilization=0.1"),
        ("experiment=math", "gpus=8", "gpu=a100-40", "host_gib=80"),
    ],
)
def test_what_is_said_to_mend_a_plan_mends_it(overrides: tuple[str, ...]) -> None:
    sizes = sizes_of(overrides)
    assert shortages(sizes)
    advice = suggest(sizes)
    assert advice
    assert not shortages(sizes_of([*overrides, *advice]))
    for left_out in advice:
        rest = [override for override in advice if override != left_out]
        assert shortages(sizes_of([*overrides, *rest])), f"{left_out} was not needed"


def test_the_cheapest_setting_is_the_advice() -> None:
    sizes = sizes_of(["model=Qwen/Qwen3-0.6B", "gpu=l40s", "gpus=8", "algorithm.micro_batch=4"])
    assert suggest(sizes) == ["deepspeed.gradient_checkpointing=true"]
    wide = sizes_of(["experiment=math", "gpus=8", "rollout.gpu_memory_utilization=1"])
    assert suggest(wide) == ["rollout.gpu_memory_utilization=0.7"]


def test_of_several_settings_each_is_as_mild_as_may_be() -> None:
    overrides = ["model=Qwen/Qwen3-8B", "gpus=2", "gpu=a100-40"]
    advice = dict(override.split("=") for override in suggest(sizes_of(overrides)))
    assert len(advice) > 1
    milder = {**advice, "algorithm.micro_batch": str(2 * int(advice["algorithm.micro_batch"]))}
    assert shortages(sizes_of([*overrides, *map("=".join, milder.items())]))


def test_states_that_leave_are_with_the_host_from_the_start_of_the_engine_to_its_sleep() -> None:
    plan = ("model=Qwen/Qwen3-4B", "gpu=h200", "algorithm.micro_batch=1")
    stays, leaves = sizes_of(plan), sizes_of((*plan, "deepspeed=zero3_sleep"))
    away = 16 * 4_022_468_096
    for name in ("start", "sync", "generate"):
        less = sum(phase(stays, name).device.values()) - sum(phase(leaves, name).device.values())
        assert less == pytest.approx(away)
        assert phase(leaves, name).host["parked states"] == away
        assert phase(leaves, name).device["weights' share"] == 2 * 4_022_468_096
    for name in ("score", "train"):
        assert phase(leaves, name).device["master copy, moments"] == 12 * 4_022_468_096
        assert "parked states" not in phase(leaves, name).host


def test_advice_can_be_to_let_the_states_leave_and_never_contradicts_itself() -> None:
    plan = ("model=Qwen/Qwen3-4B", "gpu=h200", "algorithm.micro_batch=1")
    roomy = (*plan, "rollout.gpu_memory_utilization=0.7", "deepspeed.gradient_checkpointing=true")
    assert suggest(sizes_of(roomy)) == ["deepspeed.offload_states=true"]
    tight = ("model=Qwen/Qwen3-8B", "gpu=h200", "algorithm.micro_batch=1", "deepspeed=zero3_sleep")
    advice = suggest(sizes_of(tight))
    assert advice == ["deepspeed.offload_optimizer=cpu", "deepspeed.offload_states=false"]
    assert shortages(sizes_of((*tight, *advice))) == []


def test_where_nothing_helps_nothing_is_advised(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["plan", "model=Qwen/Qwen3-0.6B", "host_gib=4"]) == 1
    assert "no setting tried makes it fit" in capsys.readouterr().out


def test_a_cache_too_small_for_one_sequence_is_told() -> None:
    sizes = sizes_of(["experiment=math", "gpus=8", "rollout.gpu_memory_utilization=0.05"])
    assert [shortage.what for shortage in shortages(sizes)] == [
        "vLLM's weights and the cache of one sequence"
    ]


def test_time_falls_with_ranks_and_grows_with_tokens() -> None:
    def step(*more: str) -> float:
        told = seconds(sizes_of(["experiment=math", "gpus=8", *more]))
        assert told is not None
        return told.step

    assert step("gpus=4") > step()
    assert step("mean_response=4000") > step("mean_response=1000")
    assert step("gpu=a100-80") > step()
    assert step("mfu=0.2") > step()


def test_training_time_by_hand() -> None:
    sizes = sizes_of(["experiment=math", "gpus=8", "mean_response=2000"])
    told = seconds(sizes)
    assert told is not None
    tokens = 64 * 8 * (256 + 2000)
    matrices = 36 * KNOWN["Qwen/Qwen3-4B"].layer_parameters + 151936 * 2560
    operations = 4 * tokens * (2 * matrices + 2 * 36 * 2256 * 4096)
    assert told.train == pytest.approx(operations / (8 * 989e12 * 0.35))


def test_the_command_says_what_fits(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["plan", "experiment=math", "gpus=8"]) == 0
    assert "not measured on a GPU" in (printed := capsys.readouterr().out)
    assert printed.rstrip().endswith("fits")
    assert call(["plan", *TIGHT]) == 1
    assert "with this it fits: " in capsys.readouterr().out


def test_the_command_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["plan", "experiment=math", "gpus=8", "price=2", "steps=10", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    hours = values["time"]["step"] * 10 * 8 / 3600
    assert values["time"]["gpu_hours"] == pytest.approx(hours)
    assert values["time"]["cost"] == pytest.approx(2 * hours)
    assert values["parameters"] == 4_022_468_096


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["gpus=0"], "gpus=0 must be at least 1"),
        (["gpus=two"], "gpus=two: gpus is a number"),
        (["gpu=tpu"], "gpu=tpu is unknown; known are h100-80"),
        (["mfu=2"], r"mfu=2.0 is outside \(0, 1\]"),
        (["host_gib=-1"], "host_gib=-1.0 must be above 0"),
        (["host_gib=nan"], "host_gib=nan must be above 0"),
        (["modle=x"], "modle"),
        (["model=Nobody/Nothing"], "rlavr fetch model.path=Nobody/Nothing"),
        (["rollout.tensor_parallel=3", "gpus=4"], "does not divide the 4 ranks"),
    ],
)
def test_mistakes_are_told(overrides: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        sizes_of(overrides)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "config.json cannot be read"),
        ('{"model_type": "mamba"}', "model_type=mamba is not planned for"),
        ('{"model_type": "llama", "hidden_size": 8}', "no whole config of a model"),
        ("[]", "no whole config of a model"),
    ],
)
def test_broken_configs_are_told(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match=message):
        sizes_of([f"model={tmp_path}"])


def test_mistakes_exit_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["plan", "gpus=0"]) == 2
    assert "gpus=0" in capsys.readouterr().err
