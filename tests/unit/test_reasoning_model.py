from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from rlavr_hpc.config.data import DataConfig
from rlavr_hpc.config.model import ModelConfig, ModelSource
from rlavr_hpc.testbed.reasoning.base_model import (
    CorpusReader,
    ReasoningRecipe,
    build_word_tokenizer,
    new_model,
)
from rlavr_hpc.testbed.reasoning.corpus import TOKENS, read_corpus
from rlavr_hpc.testbed.reasoning.wording import END, PAD, VOCABULARY, text_of
from rlavr_hpc.testbed.recipes import recipe_of, tokenizer_of

SOLUTION = ["T", "c34", "F", "=", "T", "yes", "<answer>", "Ada", "is", "knave", "</answer>"]


def test_the_tokenizer_has_a_token_for_each_word_also_when_it_is_loaded_again(
    tmp_path: Path,
) -> None:
    made = build_word_tokenizer()
    made.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "qwen2"}')
    for tokenizer in (made, AutoTokenizer.from_pretrained(tmp_path)):
        ids = tokenizer.encode(text_of(SOLUTION))
        assert ids == [TOKENS[word] for word in SOLUTION]
        read = tokenizer.decode([*ids, TOKENS[END]], skip_special_tokens=True)
        assert read == text_of(SOLUTION)
        assert (tokenizer.eos_token_id, tokenizer.pad_token_id) == (TOKENS[END], TOKENS[PAD])
        texts = [tokenizer.decode([token]) for token in range(len(VOCABULARY))]
        assert texts == [word if word in (PAD, END) else f"{word} " for word in VOCABULARY]


def test_reading_a_puzzle_once_for_its_solutions_gives_the_loss_of_reading_each_alone() -> None:
    torch.manual_seed(0)
    model = new_model(ReasoningRecipe(seed=0, steps=1, tied=False))
    [batch] = read_corpus(0, steps=1)
    surprise, tokens = 0.0, 0
    with torch.no_grad():
        together = float(CorpusReader(model).loss(batch))
        for index, solution in batch.solutions:
            puzzle = batch.puzzles[index]
            logits_TV = model(torch.tensor([[*puzzle, *solution]])).logits[0]
            logp_SV = logits_TV[len(puzzle) - 1 : -1].log_softmax(-1)
            surprise -= float(logp_SV[range(len(solution)), solution].sum())
            tokens += len(solution)
    assert together == pytest.approx(surprise / tokens, abs=1e-5)


def test_a_config_names_its_base_model_and_the_first_testbeds_keep_their_folders() -> None:
    data = DataConfig()
    assert recipe_of(ModelConfig(source=ModelSource.testbed), data).digest == "e60ae7add8ac"
    made = recipe_of(ModelConfig(source=ModelSource.reasoning), DataConfig(seed=3))
    assert made == ReasoningRecipe(seed=3, steps=2000, tied=False)
    assert made.digest != ReasoningRecipe(seed=0, steps=2000, tied=False).digest
    assert len(tokenizer_of(ModelConfig(source=ModelSource.reasoning))) == len(VOCABULARY)
