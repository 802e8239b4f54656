"""Writes a ZeRO-3 checkpoint as a folder in Hugging Face format: weights, config, tokenizer.

For a run with adapters: whole weights with the adapters merged in, or the adapters alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

from rlavr_hpc.config.model import ModelConfig
from rlavr_hpc.config.rollout import RolloutConfig
from rlavr_hpc.errors import CheckpointError, RlavrError, UserError
from rlavr_hpc.runs.checkpoints import Checkpoint
from rlavr_hpc.trainer.checkpoint.zero_shards import saved_adapters, whole_weights
from rlavr_hpc.trainer.model_folder.architecture import check_complete, weights_loaded
from rlavr_hpc.trainer.policy.adapters import (
    Adapters,
    check_base,
    fingerprint,
    merged,
    pairs,
    tensor_digest,
)
from rlavr_hpc.trainer.policy.lora import write_adapter
from rlavr_hpc.trainer.policy.tokenizer import TokenizerBundle

ADAPTER = ".lora_"
"""Part of the names of adapters' tensors."""


def consolidate(
    checkpoint: Checkpoint,
    out: Path,
    *,
    model: ModelConfig,
    base: TokenizerBundle,
    rollout: RolloutConfig | None = None,
) -> int:
    """Write the policy's weights, rounded to the model's number format.

    Args:
        checkpoint: written by any number of ranks.
        out: a folder to be made.
        model: the run's own, perhaps in another number format.
        base: the run's initial model, whose architecture and tokenizer the policy has.
        rollout: the sampling that the folder's generation config names; None = none.

    Returns:
        The number of parameters; a tied matrix counts once.

    Raises:
        CheckpointError: the shards are not those of such a model.
        UserError: they hold adapters, and `base` is not the model that these were trained on.
        RlavrError: the weights cannot be written.
    """
    adapters = saved_adapters(checkpoint.folder)
    if adapters is None:
        policy = _filled(checkpoint, model, base)
    else:
        policy = _merged(checkpoint, adapters, model, base)
    policy.generation_config = _generation(base, rollout)
    with _disk_errors(out):
        policy.save_pretrained(out)
    base.tokenizer.save_pretrained(out)
    return sum(parameter.numel() for parameter in policy.parameters())


def write_adapters(
    checkpoint: Checkpoint, out: Path, *, model: ModelConfig, base: TokenizerBundle, name: str
) -> int:
    """Write the policy's adapters alone, as a folder that peft can load.

    Args:
        checkpoint: of a run with adapters, written by any number of ranks.
        out: a folder to be made.
        model: the run's own, perhaps in another number format.
        base: the run's initial model.
        name: of the base model, as the folder names it.

    Returns:
        The number of parameters.

    Raises:
        CheckpointError: the shards do not fit together.
        UserError: the run trained all weights, or `base` is not the model it was trained on.
        RlavrError: the adapters cannot be written.
    """
    adapters = saved_adapters(checkpoint.folder)
    if adapters is None:
        raise UserError(
            f"{checkpoint.folder} holds all weights and no adapters (lora.rank=0); leave out "
            "--adapter to export the whole model"
        )
    _load_base(checkpoint, adapters, model, base)  # for its fingerprint
    dtype = getattr(torch, model.dtype)
    trained = {n: t.to(dtype) for n, t in whole_weights(checkpoint.folder) if ADAPTER in n}
    with _disk_errors(out):
        write_adapter(out, adapters, trained, base=name)
    return sum(tensor.numel() for tensor in trained.values())


@contextmanager
def _disk_errors(out: Path) -> Iterator[None]:
    try:
        yield
    except SafetensorError as error:  # no OSError, but it means one
        raise RlavrError(
            f"{out}: the weights cannot be written ({error}); free disk space and start the same "
            "command again"
        ) from error


def _filled(checkpoint: Checkpoint, model: ModelConfig, base: TokenizerBundle) -> Any:  # noqa: ANN401
    """A model of the base's architecture with the checkpoint's weights."""
    options = {"trust_remote_code": model.trust_remote_code}
    architecture = AutoConfig.from_pretrained(base.path, **options)
    with torch.device("meta"):  # no initial values: they would be overwritten
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
    return policy


def _merged(
    checkpoint: Checkpoint, adapters: Adapters, model: ModelConfig, base: TokenizerBundle
) -> Any:  # noqa: ANN401
    """The base with the adapters merged in, computed as in the trainer's forward pass."""
    policy = _load_base(checkpoint, adapters, model, base)
    dtype, trained = getattr(torch, model.dtype), getattr(torch, adapters.dtype)
    before = {name: p.data for name, p in policy.named_parameters(remove_duplicate=False)}
    policy.to(dtype)
    found = {n: t for n, t in whole_weights(checkpoint.folder) if ADAPTER in n}
    targets = dict(policy.named_parameters(remove_duplicate=False))
    for name, a_rI, b_Or in pairs(found):
        if name not in targets or targets[name].shape != (len(b_Or), a_rI.shape[1]):
            raise CheckpointError(f"{checkpoint.folder}: {name} is no weight of {base.path}")
        pair = (a_rI, b_Or)
        if dtype == trained:  # as in the forward pass; else the optimizer's float32 copy
            pair = (a_rI.to(dtype), b_Or.to(dtype))
        targets[name].data.copy_(merged(before[name], *pair, scale=adapters.scale))
    return policy


def _load_base(
    checkpoint: Checkpoint, adapters: Adapters, model: ModelConfig, base: TokenizerBundle
) -> Any:  # noqa: ANN401
    """The model that the adapters were trained on, in the number format of training."""
    with weights_loaded(base.path):
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            base.path,
            dtype=getattr(torch, adapters.dtype),
            trust_remote_code=model.trust_remote_code,
            output_loading_info=True,
        )
    loaded, loading = loaded
    check_complete(loading, base.path)
    digests = {name: tensor_digest(p.data) for name, p in loaded.named_parameters()}
    check_base(adapters, fingerprint(digests), where=checkpoint.folder)
    return loaded


def _generation(base: TokenizerBundle, rollout: RolloutConfig | None) -> GenerationConfig:
    """The run's stop tokens and sampling, instead of those that the base model suggests."""
    tokenizer = base.tokenizer
    stops = sorted(base.stop_ids, key=lambda i: (i != tokenizer.eos_token_id, i))
    sampling: dict[str, bool | int | float] = {}
    if rollout is not None:  # Transformers' default is top_k=50
        sampling = {
            "do_sample": True,
            "temperature": rollout.temperature,
            "top_k": 0,
            "top_p": 1.0,
            "max_new_tokens": rollout.max_response_tokens,
        }
    return GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=stops if len(stops) > 1 else stops[0],
        pad_token_id=base.pad_id,
        **sampling,
    )
