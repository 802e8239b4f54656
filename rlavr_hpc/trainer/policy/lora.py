"""LoRA adapters on a model's linear layers: the only importer of peft.

A target's weight W is frozen, and the policy computes with W + alpha/rank * B A. peft adds the
layers and computes with them; their initial values are drawn here.

Shapes: r rank of the adapters, I inputs and O outputs of a linear layer.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from rlavr_hpc.config.lora import ALL_LINEAR, LoraConfig
from rlavr_hpc.errors import UserError
from rlavr_hpc.trainer.policy.adapters import NAME, Adapters

SEED_BITS = 63


def add_adapters(language_model: Any, config: LoraConfig, *, seed: int) -> None:  # noqa: ANN401
    """Add adapters to the targets and freeze everything else; the model's outputs do not change.

    A rank may hold any share of the model's weights. The initial values depend on the seed and the
    layers' names alone.

    Raises:
        UserError: a target is no linear layer of the model, or is its head.
    """
    from peft import LoraConfig as PeftConfig
    from peft import inject_adapter_in_model

    everything = config.targets == [ALL_LINEAR]
    wanted = PeftConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=0.0,
        bias="none",
        target_modules=ALL_LINEAR if everything else list(config.targets),
        init_lora_weights=False,
    )
    state = torch.get_rng_state()  # peft's own initial values are not used
    try:
        inject_adapter_in_model(wanted, language_model, NAME)
    except ValueError as error:
        raise UserError(
            f"lora.targets={config.targets} does not fit {type(language_model).__name__}: {error}"
        ) from error
    finally:
        torch.set_rng_state(state)
    _check_targets(language_model, config)
    _draw(language_model, seed)


def _check_targets(language_model: Any, config: LoraConfig) -> None:  # noqa: ANN401
    head = language_model.get_output_embeddings()
    for name, layer in _adapted(language_model):
        if layer is head or not isinstance(layer.base_layer, nn.Linear):
            raise UserError(
                f"lora.targets={config.targets} includes {name}; only linear layers other than the "
                "head can have adapters"
            )


def _adapted(model: nn.Module) -> Iterator[tuple[str, Any]]:
    """The layers that have adapters, by name."""
    from peft.tuners.lora import LoraLayer

    for name, module in model.named_modules():
        if isinstance(module, LoraLayer):
            yield name, module


def _draw(model: nn.Module, seed: int) -> None:
    """A: uniform within 1/sqrt(inputs), as linear layers are initialised; B: zero."""
    for name, layer in _adapted(model):
        key = hashlib.blake2b(f"lora/{seed}/{name}".encode(), digest_size=8).digest()
        draws = torch.Generator().manual_seed(int.from_bytes(key) >> (64 - SEED_BITS))
        a_rI, b_Or = layer.lora_A[NAME].weight, layer.lora_B[NAME].weight
        bound = 1 / math.sqrt(a_rI.shape[1])
        with torch.no_grad():
            a_rI.copy_(torch.empty(a_rI.shape).uniform_(-bound, bound, generator=draws))
            b_Or.zero_()


@contextmanager
def without_adapters(model: nn.Module) -> Iterator[None]:
    """Compute without the adapters' effect.

    They still run, with factor 0: ZeRO-3 prefetches weights in the order in which layers are used,
    and that order must not change.
    """
    layers = [layer for _, layer in _adapted(model)]
    for layer in layers:
        layer.set_scale(NAME, 0)
    try:
        yield
    finally:
        for layer in layers:
            layer.set_scale(NAME, 1)


def write_adapter(
    folder: Path, adapters: Adapters, tensors: Mapping[str, torch.Tensor], *, base: str
) -> None:
    """A folder that `peft.PeftModel.from_pretrained` loads.

    Args:
        folder: to be made.
        adapters: their rank, scale and targets.
        tensors: A and B by name.
        base: name of the base model.
    """
    from peft import LoraConfig as PeftConfig

    folder.mkdir(exist_ok=True)
    PeftConfig(
        r=adapters.rank,
        lora_alpha=adapters.alpha,
        lora_dropout=0.0,
        bias="none",
        target_modules=list(adapters.targets),
        task_type="CAUSAL_LM",
        inference_mode=True,
        base_model_name_or_path=base,
    ).save_pretrained(str(folder))
    path = folder / "adapter_config.json"  # peft writes the targets as a set, in any order
    settings = json.loads(path.read_text()) | {"target_modules": sorted(adapters.targets)}
    path.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n")
    named = {
        f"base_model.model.{name.replace(f'.{NAME}.', '.')}": tensor.contiguous()
        for name, tensor in tensors.items()
    }
    save_file(named, folder / "adapter_model.safetensors", metadata={"format": "pt"})
