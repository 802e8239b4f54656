"""Packed micro-batches say what padded ones do, for every architecture that the project names."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from rlavr_hpc.trainer.policy.scoring_model import ScoringModel, ScoringOutputs
from rlavr_hpc.trainer.policy.sequences import Sequences, packed, padded
from rlavr_hpc.training_types import Sample

CPU = torch.device("cpu")
SHAPES = [(1, 1), (5, 2), (3, 7), (2, 1)]
"""Prompt and response tokens."""


def samples(seed: int = 1) -> list[Sample]:
    draw = torch.Generator().manual_seed(seed)

    def ids(count: int) -> tuple[int, ...]:
        return tuple(torch.randint(3, 50, (count,), generator=draw).tolist())

    return [
        Sample(
            key=("p", i),
            prompt_ids=ids(prompt),
            response_ids=ids(response),
            sampler_logprobs=(0.0,) * response,
            advantage=1.0,
        )
        for i, (prompt, response) in enumerate(SHAPES)
    ]


def model(kind: str, attention: str = "sdpa") -> ScoringModel:
    torch.manual_seed(0)
    settings: dict[str, Any] = {
        "vocab_size": 64,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    config = AutoConfig.for_model(kind, **settings)
    language_model = AutoModelForCausalLM.from_config(config, attn_implementation=attention)
    return ScoringModel(language_model, temperature=0.7, chunk=5)


def scores_and_slope(
    scorer: ScoringModel, sequences: Sequences
) -> tuple[list[torch.Tensor], torch.Tensor]:
    scorer.zero_grad()
    scores = scorer(sequences, outputs=ScoringOutputs.everything)
    scorer(sequences)[0].sum().backward()
    slope = torch.cat([p.grad.flatten() for p in scorer.parameters() if p.grad is not None])
    return [column.detach() for column in scores], slope


@pytest.mark.parametrize("kind", ["qwen2", "qwen3", "llama", "phi3"])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_packed_samples_get_the_scores_and_gradients_of_padded_ones(
    kind: str, attention: str
) -> None:
    scorer = model(kind, attention)
    rows, one = padded(samples(), pad_id=0, device=CPU), packed(samples(), device=CPU)
    assert rows.ids_BT.shape == (4, 10)
    assert one.ids_BT.shape == (1, sum(map(sum, SHAPES)))
    in_rows, slope_of_rows = scores_and_slope(scorer, rows)
    in_one, slope_of_one = scores_and_slope(scorer, one)
    assert [c.shape for c in in_one] == [(11,), (11,), (11,), (4, 32), (4, 32)]
    for left, right in zip(in_rows, in_one, strict=True):
        torch.testing.assert_close(left, right, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(slope_of_rows, slope_of_one, atol=1e-4, rtol=1e-3)


def test_a_packed_sample_knows_nothing_of_its_neighbours() -> None:
    scorer, first, second = model("qwen3"), samples(1), samples(2)
    with torch.no_grad():
        alone = scorer(packed([first[2]], device=CPU))[0]
        among = scorer(packed([second[1], first[2], second[0]], device=CPU))[0]
    torch.testing.assert_close(among[2:9], alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_padded_sample_knows_nothing_of_its_padding(attention: str) -> None:
    scorer = model("qwen2", attention)
    with torch.no_grad():
        alone = scorer(
            padded(samples()[1:2], pad_id=0, device=CPU), outputs=ScoringOutputs.everything
        )
        among = scorer(padded(samples(), pad_id=7, device=CPU), outputs=ScoringOutputs.everything)
    for column in (0, 1, 2):
        torch.testing.assert_close(among[column][1:3], alone[column], atol=1e-5, rtol=1e-4)
    for column in (3, 4):
        torch.testing.assert_close(among[column][1:2], alone[column], atol=1e-5, rtol=1e-4)


def test_states_alone_need_no_logits_and_are_those_of_a_whole_scoring(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scorer = model("qwen3")
    rows = padded(samples(), pad_id=0, device=CPU)
    with torch.no_grad():
        everything = scorer(rows, outputs=ScoringOutputs.everything)
        monkeypatch.setattr(scorer.head, "forward", lambda *_, **__: pytest.fail("logits"))
        states = scorer(rows, outputs=ScoringOutputs.states)
    assert [len(column) for column in states] == [0, 0, 0, 4, 4]
    assert all(map(torch.equal, states[3:], everything[3:]))


def test_hidden_states_are_taken_where_prompt_and_response_end() -> None:
    sequences = packed(samples(), device=CPU)
    assert sequences.prompt_end_N.tolist() == [0, 6, 11, 20]
    assert sequences.end_N.tolist() == [1, 8, 18, 21]
    rows = padded(samples(), pad_id=0, device=CPU)
    assert rows.prompt_end_N.tolist() == [0, 14, 22, 31]
    assert rows.end_N.tolist() == [1, 16, 29, 32]
