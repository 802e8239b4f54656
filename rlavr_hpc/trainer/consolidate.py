"""A ZeRO-3 checkpoint as a folder in Hugging Face format: weights, config, tokenizer."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig, PretrainedConfig

from rlavr_hpc.checkpoints import Checkpoint
from rlavr_hpc.config_groups import ModelConfig
from rlavr_hpc.errors import CheckpointError
from rlavr_hpc.trainer.deepspeed_policy import whole_weights
from rlavr_hpc.trainer.language import Language


def consolidate(checkpoint: Checkpoint, out: Path, *, model: ModelConfig, base: Language) -> None:
    """Write the policy's weights, rounded to the number format in which it was trained.

    Args:
        checkpoint: written by any number of ranks.
        out: a folder to be made.
        model: the run's own.
        base: the run's initial model, whose architecture and tokenizer the policy has.

    Raises:
        CheckpointError: the shards are not those of such a model.
    """
    options = {"trust_remote_code": model.trust_remote_code}
    architecture = AutoConfig.from_pretrained(base.path, **options)
    with torch.device("meta"):  # draw no weights that are overwritten anyway
        policy = AutoModelForCausalLM.from_config(
            architecture, dtype=getattr(torch, model.dtype), **options
        )
    policy.to_empty(device="cpu")
    policy.tie_weights()
    targets = dict(policy.named_parameters(remove_duplicate=False))
    targets |= {name: b for name, b in policy.named_buffers() if name in policy.state_dict()}
    missing = set(targets)
    for name, tensor in whole_weights(checkpoint.folder):
        if name not in targets or targets[name].shape != tensor.shape:
            raise CheckpointError(f"{checkpoint.folder}: {name} is no weight of {base.path}")
        targets[name].data.copy_(tensor)
        missing.discard(name)
    if missing:
        raise CheckpointError(f"{checkpoint.folder} lacks {min(missing)}")
    policy.generation_config = _generation(base.path, architecture)
    policy.save_pretrained(out)
    base.tokenizer.save_pretrained(out)


def _generation(path: Path | str, architecture: PretrainedConfig) -> GenerationConfig:
    try:
        return GenerationConfig.from_pretrained(path)
    except OSError:
        return GenerationConfig.from_model_config(architecture)
