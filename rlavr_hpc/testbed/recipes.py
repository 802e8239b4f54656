"""Which base model a config names, and its tokenizer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlavr_hpc.config.data import DataConfig
from rlavr_hpc.config.model import ModelConfig, ModelSource
from rlavr_hpc.testbed.base_model import Recipe, build_tokenizer
from rlavr_hpc.testbed.model_cache import BaseModelRecipe
from rlavr_hpc.testbed.reasoning.base_model import ReasoningRecipe, build_word_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


def recipe_of(model: ModelConfig, data: DataConfig) -> BaseModelRecipe:
    """What the base model of a run is built from; the config's model must be `built_here`."""
    if model.source is ModelSource.reasoning:
        return ReasoningRecipe(
            seed=data.seed, steps=model.pretrain_steps, tied=model.tied_embeddings
        )
    return Recipe(
        kinds=data.kinds,
        wrong_rule=data.wrong_rule,
        seed=data.seed,
        steps=model.pretrain_steps,
        tied=model.tied_embeddings,
    )


def tokenizer_of(model: ModelConfig) -> PreTrainedTokenizerFast:
    """The tokenizer of a model that is `built_here`, without building the model."""
    if model.source is ModelSource.reasoning:
        return build_word_tokenizer()
    return build_tokenizer()
