"""What a checkpoint says of a policy's adapters, and how they and the base make whole weights.

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
"""Of a layer's only adapter, in the names of its tensors."""
A, B = f".lora_A.{NAME}.weight", f".lora_B.{NAME}.weight"
BASE = ".base_layer."
"""In the names of what a layer with adapters had before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapters:
    """Of a run, as its checkpoints remember them."""

    rank: int
    alpha: float
    targets: tuple[str, ...]
    """Ends of layers' names."""
    dtype: str
    """Number format in training, of the base too."""
    base: str
    """Fingerprint of the weights that stay as they are."""

    @property
    def scale(self) -> float:
        """Factor of B A."""
        return self.alpha / self.rank

    def as_dict(self) -> dict[str, Any]:
        """As a checkpoint holds it."""
        return asdict(self)


def read_adapters(told: Mapping[str, Any] | None) -> Adapters | None:
    """The inverse of `as_dict`; None where all weights were trained."""
    return None if told is None else Adapters(**{**told, "targets": tuple(told["targets"])})


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
        UserError: adapters meet whole weights, other shapes, or another base.
    """
    if saved is None or mine is None:
        if saved is mine:
            return
        held, asked = ("adapters", "all weights") if saved else ("all weights", "adapters")
        raise UserError(
            f"{where} holds {held}, and this run trains {asked}; give lora.rank="
            f"{saved.rank if saved else 0}, or another name to start anew"
        )
    if (saved.rank, saved.targets) != (mine.rank, mine.targets):
        raise UserError(
            f"{where} holds adapters of rank {saved.rank} beside {', '.join(saved.targets)}, this "
            f"run has rank {mine.rank} beside {', '.join(mine.targets)}; restore lora.rank and "
            "lora.targets, or give another name to start anew"
        )
    check_base(saved, mine.base, where=where)


def check_base(saved: Adapters, found: str, *, where: Path) -> None:
    """Refuse another base than the adapters were trained on."""
    if saved.base != found:
        raise UserError(
            f"{where} holds adapters of a model whose weights had the fingerprint {saved.base}; "
            f"those of the model given now have {found}; restore that model's files (model.path)"
        )


def tensor_digest(tensor: torch.Tensor) -> str:
    """SHA-256 of number format, shape and content."""
    digest = hashlib.sha256(f"{tensor.dtype} {list(tensor.shape)}\0".encode())
    content = tensor.detach().cpu().contiguous().view(-1).view(torch.uint8)
    digest.update(content.numpy().data)
    return digest.hexdigest()


def fingerprint(digests: Mapping[str, str]) -> str:
    """Of weights by the digests of their tensors."""
    text = "".join(f"{name} {digests[name]}\n" for name in sorted(digests))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def merged(
    w_OI: torch.Tensor, a_rI: torch.Tensor, b_Or: torch.Tensor, *, scale: float
) -> torch.Tensor:
    """(O, I) in float32: what the adapters make of the target."""
    return torch.addmm(w_OI.float(), b_Or.float(), a_rI.float(), alpha=scale)


def pairs(
    tensors: Mapping[str, torch.Tensor],
) -> Iterator[tuple[str, torch.Tensor, torch.Tensor]]:
    """Name of a target's weight, A and B, from A and B by name."""
    for name, a_rI in tensors.items():
        if name.endswith(A):
            layer = name.removesuffix(A)
            yield f"{layer}.weight", a_rI, tensors[f"{layer}{B}"]
