"""A ZeRO-3 checkpoint as a folder in Hugging Face format: weights, config, tokenizer."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

from rlavr_hpc.checkpoints import Checkpoint
from rlavr_hpc.config_groups import ModelConfig, RolloutConfig
from rlavr_hpc.errors import CheckpointError, RlavrError
from rlavr_hpc.trainer.language import Language
from rlavr_hpc.trainer.zero_shards import whole_weights


def consolidate(
    checkpoint: Checkpoint,
    out: Path,
    *,
    model: ModelConfig,
    base: Language,
    rollout: RolloutConfig | None = None,
) -> int:
    """Write the policy's weights, rounded to the model's number format.

    Args:
        checkpoint: written by any number of ranks.
        out: a folder to be made.
        model: the run's own, perhaps in another number format.
        base: the run's initial model, whose architecture and tokenizer the policy has.
        rollout: the sampling that the folder names as its own; None = none.

    Returns:
        The number of parameters; a tied matrix counts once.

    Raises:
        CheckpointError: the shards are not those of such a model.
        RlavrError: the weights cannot be written.
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
    policy.generation_config = _generation(base, rollout)
    try:
        policy.save_pretrained(out)
    except SafetensorError as error:  # no OSError, but it means one
        raise RlavrError(
            f"{out}: weights cannot be written ({error}); make room and start the same command "
            "again"
        ) from error
    base.tokenizer.save_pretrained(out)
    return sum(parameter.numel() for parameter in policy.parameters())


def _generation(base: Language, rollout: RolloutConfig | None) -> GenerationConfig:
    """Stop tokens and sampling of the run; what the base model suggests was not trained with."""
    tokenizer = base.tokenizer
    stops = sorted(base.stop_ids, key=lambda i: (i != tokenizer.eos_token_id, i))
    sampling: dict[str, bool | int | float] = {}
    if rollout is not None:  # Transformers' own default would be the 50 likeliest tokens
        sampling = {
            "do_sample": True, "temperature": rollout.temperature, "top_k": 0, "top_p": 1.0,
            "max_new_tokens": rollout.max_response_tokens,
        }  # fmt: skip
    return GenerationConfig(
        bos_token_id=tokenizer.bos_token_id, eos_token_id=stops if len(stops) > 1 else stops[0],
        pad_token_id=base.pad_id, **sampling,
    )  # fmt: skip
