"""LoRA adapters as a checkpoint describes them, and how they merge with the base weights.

Shapes: r rank of the adapters, I inputs and O outputs of a linear layer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from rlavr_hpc.config.lora import ALL_LINEAR, LoraConfig
from rlavr_hpc.errors import UserError

NAME = "default"
"""peft's name of a layer's only adapter; part of its tensors' names."""
A, B = f".lora_A.{NAME}.weight", f".lora_B.{NAME}.weight"
BASE = ".base_layer."
"""Part of the names of the original weights of a layer with adapters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapters:
    """A run's adapters, as its checkpoints describe them."""

    rank: int
    alpha: float
    targets: tuple[str, ...]
    """Last parts of the layers' names."""
    dtype: str
    """Number format in training, also of the base."""
    base: str
    """Fingerprint of the frozen weights."""

    @property
    def scale(self) -> float:
        """Factor of the product B A."""
        return self.alpha / self.rank

    def as_dict(self) -> dict[str, Any]:
        """As a checkpoint stores it."""
        return asdict(self)


def read_adapters(stored: Mapping[str, Any] | None) -> Adapters | None:
    """The inverse of `as_dict`; None where all weights were trained."""
    return None if stored is None else Adapters(**{**stored, "targets": tuple(stored["targets"])})


def describe(config: LoraConfig, names: Iterable[str], *, dtype: str, base: str) -> Adapters:
    """A run's adapters.

    Args:
        config: the group `lora`.
        names: of the model's tensors.
        dtype: number format.
        base: fingerprint of the frozen weights.
    """
    targets = list(config.targets)
    if targets == [ALL_LINEAR]:
        layers = (name.removesuffix(A) for name in names if name.endswith(A))
        targets = sorted({layer.rpartition(".")[2] for layer in layers})
    return Adapters(
        rank=config.rank, alpha=config.alpha, targets=tuple(targets), dtype=dtype, base=base
    )


def check_same(saved: Adapters | None, mine: Adapters | None, *, where: Path) -> None:
    """Refuse a checkpoint that this policy cannot continue.

    Raises:
        UserError: one has adapters and the other has not, or rank, targets or base differ.
    """
    if saved is None or mine is None:
        if saved is mine:
            return
        held, asked = ("adapters", "all weights") if saved else ("all weights", "adapters")
        raise UserError(
            f"{where} holds {held}, and this run trains {asked}; set lora.rank="
            f"{saved.rank if saved else 0} to continue, or another name to start a new run"
        )
    if (saved.rank, saved.targets) != (mine.rank, mine.targets):
        raise UserError(
            f"{where} holds adapters of rank {saved.rank} on {', '.join(saved.targets)}, and this "
            f"run has rank {mine.rank} on {', '.join(mine.targets)}; restore lora.rank and "
            "lora.targets to continue, or set another name to start a new run"
        )
    check_base(saved, mine.base, where=where)


def check_base(saved: Adapters, found: str, *, where: Path) -> None:
    """Raise UserError for another base than the adapters were trained on."""
    if saved.base != found:
        raise UserError(
            f"{where} holds adapters of a model whose weights have the fingerprint {saved.base}, "
            f"but the weights of the present model have {found}; set model.path to the first one"
        )


def tensor_digest(tensor: torch.Tensor) -> str:
    """SHA-256 of number format, shape and content."""
    digest = hashlib.sha256(f"{tensor.dtype} {list(tensor.shape)}\0".encode())
    content = tensor.detach().cpu().contiguous().view(-1).view(torch.uint8)
    digest.update(content.numpy().data)
    return digest.hexdigest()


def fingerprint(digests: Mapping[str, str]) -> str:
    """Fingerprint of weights, from the digests of their tensors."""
    text = "".join(f"{name} {digests[name]}\n" for name in sorted(digests))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def merged(
    w_OI: torch.Tensor, a_rI: torch.Tensor, b_Or: torch.Tensor, *, scale: float
) -> torch.Tensor:
    """(O, I) in float32: the target's weight plus the scaled product of its adapters."""
    return torch.addmm(w_OI.float(), b_Or.float(), a_rI.float(), alpha=scale)


def pairs(
    tensors: Mapping[str, torch.Tensor],
) -> Iterator[tuple[str, torch.Tensor, torch.Tensor]]:
    """Per target the name of its weight, A and B; `tensors` has A and B by name."""
    for name, a_rI in tensors.items():
        if name.endswith(A):
            layer = name.removesuffix(A)
            yield f"{layer}.weight", a_rI, tensors[f"{layer}{B}"]
