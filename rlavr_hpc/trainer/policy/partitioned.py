"""Loads the policy's model for ZeRO-3: each rank only ever holds its share."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.integrations.deepspeed import HfDeepSpeedConfig

from rlavr_hpc.trainer.model_folder.architecture import check_complete, weights_loaded
from rlavr_hpc.trainer.policy.attention import attention
from rlavr_hpc.trainer.policy.lora import add_adapters
from rlavr_hpc.trainer.policy.scoring_model import ScoringModel
from rlavr_hpc.trainer.policy.settings import PolicySettings


def load_partitioned(settings: PolicySettings, ds_config: dict[str, Any]) -> ScoringModel:
    """The initial model without adapters. All ranks call this together.

    Raises:
        UserError: its files lack weights of its architecture, which would be drawn at random.
    """
    architecture = AutoConfig.from_pretrained(
        settings.model_path, trust_remote_code=settings.trust_remote_code
    )
    partition_on_load = HfDeepSpeedConfig(ds_config)
    with weights_loaded(settings.model_path):
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            settings.model_path,
            dtype=getattr(torch, settings.dtype),
            attn_implementation=attention(settings.attention, settings.dtype, architecture),
            trust_remote_code=settings.trust_remote_code,
            output_loading_info=True,
        )
    del partition_on_load  # other models of this process must not be partitioned
    language_model, loading = loaded
    check_complete(loading, settings.model_path)
    language_model.config.use_cache = False
    return ScoringModel(
        language_model, temperature=settings.temperature, chunk=settings.algorithm.logit_chunk
    )


def load_trainable(settings: PolicySettings, ds_config: dict[str, Any]) -> ScoringModel:
    """The model that is trained, with adapters if the settings say so."""
    model = load_partitioned(settings, ds_config)
    language_model: Any = model.language_model
    if settings.lora.rank:
        add_adapters(language_model, settings.lora, seed=settings.seed)
    if settings.deepspeed.gradient_checkpointing:
        language_model.gradient_checkpointing_enable()
        if settings.lora.rank:  # else nothing below the first adapter requires a gradient
            language_model.enable_input_require_grads()
    return model
