"""Adapters beside a model's linear layers: the only importer of peft.

A target's weight W stays as it is; W + alpha/rank * B A is what the policy computes with. peft puts
the layers in place and computes with them; their first values are drawn here.

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
    """Put adapters beside the targets and freeze everything else; the model computes as before.

    A rank may hold any share of the model's weights. The first values depend on the seed and on
    each layer's name alone.

    Raises:
        UserError: the model has no such linear layers, or one is its head.
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
    state = torch.get_rng_state()  # what peft draws is not used
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
                f"lora.targets={config.targets} takes in {name}; only linear layers other than the "
                "head can have adapters"
            )


def _adapted(model: nn.Module) -> Iterator[tuple[str, Any]]:
    """The layers that have adapters, by name."""
    from peft.tuners.lora import LoraLayer

    for name, module in model.named_modules():
        if isinstance(module, LoraLayer):
            yield name, module


def _draw(model: nn.Module, seed: int) -> None:
    """Uniform within 1/sqrt(inputs) for A, as linear layers begin; zero for B."""
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
    """Compute as if there were no adapters.

    They run with factor 0, so that the same layers are visited in the same order: ZeRO-3 gathers
    weights ahead by that order.
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
        adapters: what they are.
        tensors: A and B by the names that `adapters.split_name` knows.
        base: what the model is called whose weights they change.
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
    path = folder / "adapter_config.json"  # peft keeps the targets as a set, in any order
    told = json.loads(path.read_text()) | {"target_modules": sorted(adapters.targets)}
    path.write_text(json.dumps(told, indent=2, sort_keys=True) + "\n")
    named = {
        f"base_model.model.{name.replace(f'.{NAME}.', '.')}": tensor.contiguous()
        for name, tensor in tensors.items()
    }
    save_file(named, folder / "adapter_model.safetensors", metadata={"format": "pt"})
