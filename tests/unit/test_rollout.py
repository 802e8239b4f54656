from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import MistralConfig, MistralForCausalLM, Qwen2Config, Qwen2ForCausalLM

from rlavr_hpc.errors import StaleWeightsError
from rlavr_hpc.rollout.engine import Sampling, refuse_stale, request_seed
from rlavr_hpc.rollout.hf_engine import HfEngine, HfEngineConfig
from rlavr_hpc.rollout.static_batch import Decoder
from rlavr_hpc.types import Prompt, Rollout, StepKey

PLACE = StepKey(seed=1, step=1)
END = 0
SAMPLING = Sampling(samples=3, temperature=1.0, max_tokens=6)
PROMPTS = [
    Prompt(id="long", text="", token_ids=(5, 6, 7, 8), task="math"),
    Prompt(id="short", text="", token_ids=(9,), task="math"),
]


def test_a_request_seed_depends_on_everything_that_names_the_request() -> None:
    seeds = {
        request_seed(StepKey(seed=s, step=t, branch=b), prompt_id=p, sample=k, purpose=u)
        for s in (1, 2)
        for t in (1, 2)
        for b in (0, 1)
        for p in ("a", "b")
        for k in (0, 1)
        for u in ("train", "eval")
    }
    assert len(seeds) == 64
    assert all(0 <= seed < 2**62 for seed in seeds)


def test_a_request_seed_is_the_same_in_every_process() -> None:
    assert request_seed(PLACE, prompt_id="p", sample=0, purpose="train") == 2345398927660403309


def test_stale_weights_are_refused() -> None:
    refuse_stale(3, 3)
    for held in (None, 2):
        with pytest.raises(StaleWeightsError, match="sync the weights first"):
            refuse_stale(held, 3)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Qwen2ForCausalLM]:
    torch.manual_seed(3)
    made = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=20,
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
            eos_token_id=END,
            bos_token_id=None,
        )
    )
    folder = tmp_path_factory.mktemp("model")
    made.save_pretrained(folder)
    return folder, made


@pytest.fixture
def engine(model: tuple[Path, Qwen2ForCausalLM]) -> HfEngine:
    folder, weights = model
    config = HfEngineConfig(
        model_path=folder,
        dtype=torch.float32,
        device=torch.device("cpu"),
        stop_ids=frozenset([END, 13]),
        pad_id=END,
        max_sequences=4,
        trust_remote_code=False,
    )
    built = HfEngine(config, rank=0, world_size=1, decode=lambda ids: " ".join(map(str, ids)))
    built.sync(weights.named_parameters(), version=1)
    return built


def flat(rollouts: Sequence[Sequence[Rollout]]) -> list[Rollout]:
    return [rollout for group in rollouts for rollout in group]


def test_an_engine_refuses_to_generate_before_every_weight_has_come(engine: HfEngine) -> None:
    engine.sync(iter([]), version=2)
    with pytest.raises(StaleWeightsError):
        engine.sample(PROMPTS, sampling=SAMPLING, step_key=PLACE, version=2)


def test_sampling_is_the_same_again_and_other_at_another_place(engine: HfEngine) -> None:
    first = engine.sample(PROMPTS, sampling=SAMPLING, step_key=PLACE, version=1)
    torch.manual_seed(99)
    assert engine.sample(PROMPTS, sampling=SAMPLING, step_key=PLACE, version=1) == first
    other = engine.sample(PROMPTS, sampling=SAMPLING, step_key=replace(PLACE, step=2), version=1)
    assert other != first


def test_a_response_does_not_depend_on_its_company(engine: HfEngine) -> None:
    together = engine.sample(PROMPTS, sampling=SAMPLING, step_key=PLACE, version=1)
    alone = engine.sample(PROMPTS[1:], sampling=SAMPLING, step_key=PLACE, version=1)
    assert [r.token_ids for r in alone[0]] == [r.token_ids for r in together[1]]


def test_the_stop_token_ends_and_belongs_to_a_response(engine: HfEngine) -> None:
    sampling = replace(SAMPLING, samples=40)
    rollouts = flat(engine.sample(PROMPTS, sampling=sampling, step_key=PLACE, version=1))
    stopped = [r for r in rollouts if not r.truncated]
    cut = [r for r in rollouts if r.truncated]
    assert {r.token_ids[-1] for r in stopped} == {END, 13}
    assert all(len(r.token_ids) == 6 for r in cut)
    assert cut
    assert not any({END, 13} & set(r.token_ids[:-1]) for r in rollouts)
    assert all(len(r.logprobs) == len(r.token_ids) for r in rollouts)


def test_logprobs_are_those_of_the_model(
    engine: HfEngine, model: tuple[Path, Qwen2ForCausalLM]
) -> None:
    rollout = engine.sample(PROMPTS, sampling=SAMPLING, step_key=PLACE, version=1)[0][0]
    ids = torch.tensor([[*PROMPTS[0].token_ids, *rollout.token_ids]])
    with torch.no_grad():
        logp = model[1](ids).logits.log_softmax(-1)[0]
    told = [logp[3 + i, token].item() for i, token in enumerate(rollout.token_ids)]
    assert list(rollout.logprobs) == pytest.approx(told, abs=1e-5)


def test_rows_that_outlive_others_are_decoded_as_if_alone(
    engine: HfEngine, model: tuple[Path, Qwen2ForCausalLM]
) -> None:
    """With one random token in ten a stop, rows leave the batch at every position."""
    engine._config = replace(engine._config, max_sequences=64)
    sampling = replace(SAMPLING, samples=32, max_tokens=16)
    together = engine.sample(PROMPTS, sampling=sampling, step_key=PLACE, version=1)
    lengths = {len(rollout.token_ids) for rollout in flat(together)}
    assert len(lengths) > 6
    for prompt, group in zip(PROMPTS, together, strict=True):
        for rollout in group:
            ids = torch.tensor([[*prompt.token_ids, *rollout.token_ids]])
            with torch.no_grad():
                logp = model[1](ids).logits.log_softmax(-1)[0, len(prompt.token_ids) - 1 :]
            told = [logp[i, token].item() for i, token in enumerate(rollout.token_ids)]
            assert list(rollout.logprobs) == pytest.approx(told, abs=1e-5)
    engine._config = replace(engine._config, max_sequences=1)
    alone = engine.sample(PROMPTS, sampling=sampling, step_key=PLACE, version=1)
    assert [r.token_ids for r in flat(alone)] == [r.token_ids for r in flat(together)]


@pytest.mark.parametrize("prompts", [PROMPTS, PROMPTS[:1] * 2], ids=["padded", "of one length"])
def test_a_prompt_is_read_once_however_many_responses_it_gets(
    engine: HfEngine, prompts: list[Prompt]
) -> None:
    read: list[tuple[int, int]] = []
    engine._model.register_forward_pre_hook(
        lambda _, __, given: read.append(tuple(given["input_ids"].shape)), with_kwargs=True
    )
    engine._config = replace(engine._config, max_sequences=64)
    prompts = [replace(prompt, id=f"p{i}") for i, prompt in enumerate(prompts)]
    engine.sample(prompts, sampling=replace(SAMPLING, samples=5), step_key=PLACE, version=1)
    assert read[0] == (2, max(len(prompt.token_ids) for prompt in prompts))
    assert read[1][0] <= 10
    assert all(width == 1 for _, width in read[1:])
    assert len(read) <= SAMPLING.max_tokens, "no pass after the last token"


def test_layers_with_a_sliding_window_share_prompts_too() -> None:
    """Their cache is Transformers' own, which is shorter than the sequence."""
    torch.manual_seed(5)
    window = MistralForCausalLM(
        MistralConfig(
            vocab_size=20,
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            sliding_window=4,
        )
    ).eval()
    decoder = Decoder(window, stop_ids={END}, sampling=replace(SAMPLING, max_tokens=9))
    ids_PT = torch.tensor([[END, 4, 5, 6, 7, 8], [3, 9, 8, 7, 6, 5]])
    mask_PT = (ids_PT != END).long()
    prompt_N = torch.tensor([0, 0, 0, 1, 1, 1])
    uniform_NL = torch.rand(6, 9, dtype=torch.float64)
    decoded = decoder.decode(ids_PT, mask_PT, prompt_N, uniform_NL, should_abort=lambda: False)
    for row, prompt in enumerate(prompt_N.tolist()):
        drawn = decoded.token_NL[row].tolist()
        length = drawn.index(END) + 1 if END in drawn else len(drawn)
        asked = ids_PT[prompt][mask_PT[prompt] == 1].tolist()
        with torch.no_grad():
            logits = window(torch.tensor([asked + drawn[:length]])).logits
        logp = logits.log_softmax(-1)[0, len(asked) - 1 :]
        told = [logp[i, token].item() for i, token in enumerate(drawn[:length])]
        assert decoded.logp_NL[row, :length].tolist() == pytest.approx(told, abs=1e-5)


def test_draws_follow_the_models_distribution(
    engine: HfEngine, model: tuple[Path, Qwen2ForCausalLM]
) -> None:
    sampling = Sampling(samples=4000, temperature=1.0, max_tokens=1)
    engine._config = replace(engine._config, max_sequences=4000)
    [rollouts] = engine.sample(PROMPTS[:1], sampling=sampling, step_key=PLACE, version=1)
    counts = torch.bincount(torch.tensor([r.token_ids[0] for r in rollouts]), minlength=20) / 4000
    with torch.no_grad():
        probability = model[1](torch.tensor([PROMPTS[0].token_ids])).logits[0, -1].softmax(-1)
    assert (counts - probability).abs().max().item() < 0.03
