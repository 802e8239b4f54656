"""The policy's weights as a rollout engine knows them: base names, adapters merged in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn

from rlavr_hpc.config.lora import LoraConfig
from rlavr_hpc.trainer import distributed
from rlavr_hpc.trainer.policy.adapters import (
    BASE,
    A,
    Adapters,
    B,
    describe,
    fingerprint,
    merged,
    tensor_digest,
)
from rlavr_hpc.trainer.policy.scoring_model import PREFIX

BLOCK = re.compile(r"(.*?\.[0-9]+\.[^.]+)\.")
"""Attention or feed-forward block of a layer. Engines fuse its matrices, and load it as a whole."""
HASHED_AT_ONCE = 1 << 28
"""Bytes."""
Gather = Callable[[list[nn.Parameter]], AbstractContextManager[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """One of the policy's weights, and the parameters that its value is made from."""

    names: list[str]
    """All its names; several for a tied matrix."""
    parameter: nn.Parameter
    adapter: tuple[nn.Parameter, nn.Parameter] | None
    """A and B."""
    scale: float
    moves: bool
    """Whether it changes in training, or another weight of its block does."""

    @property
    def parts(self) -> tuple[nn.Parameter, ...]:
        """The parameters that the value is made from."""
        return (self.parameter, *(self.adapter or ()))

    def value(self) -> torch.Tensor:
        """The weight; its parts must be gathered."""
        if self.adapter is None:
            return self.parameter.data
        a_rI, b_Or = self.adapter
        whole = merged(self.parameter.data, a_rI.data, b_Or.data, scale=self.scale)
        return whole.to(self.parameter.dtype)


class GatheredWeights:
    """The wrapped language model's weights, whole, a bucket at a time."""

    def __init__(self, model: nn.Module, lora: LoraConfig, *, gather: Gather) -> None:
        """Each rank holds its share of the model.

        Args:
            model: a `ScoringModel`.
            lora: the settings of its adapters.
            gather: a context in which its arguments are whole on every rank.
        """
        self._lora, self._gather = lora, gather
        self._weights = named_weights(model, scale=lora.alpha / (lora.rank or 1))
        self._names = [name for name, _ in model.named_parameters()]

    def whole(self, *, bucket_bytes: int, moving_only: bool) -> Iterator[tuple[str, torch.Tensor]]:
        """By their Hugging Face names, adapters merged in; all ranks consume this together.

        A tied matrix is given under each of its names.

        Args:
            bucket_bytes: gathered at once.
            moving_only: leave out what never changes.
        """
        wanted = [weight for weight in self._weights if weight.moves or not moving_only]
        for weight in self._gathered(wanted, bucket_bytes):
            value = weight.value()
            for name in weight.names:
                yield name, value

    def describe(self, *, dtype: str) -> Adapters | None:
        """The adapters, if there are any, and their base, which all ranks hash together."""
        if not self._lora.rank:
            return None
        digests: dict[str, str] = {}
        for number, weight in enumerate(self._gathered(self._weights, HASHED_AT_ONCE)):
            if number % dist.get_world_size() == dist.get_rank():
                digests[weight.names[0]] = tensor_digest(weight.parameter.data)
        everywhere = distributed.gather_lists(list(digests.items()))
        base = fingerprint(dict(pair for part in everywhere for pair in part))
        return describe(self._lora, self._names, dtype=dtype, base=base)

    def _gathered(self, weights: Sequence[Weight], bucket_bytes: int) -> Iterator[Weight]:
        for bucket in _buckets(weights, bucket_bytes):
            with self._gather([part for weight in bucket for part in weight.parts]):
                yield from bucket


def _buckets(weights: Sequence[Weight], bucket_bytes: int) -> Iterator[list[Weight]]:
    bucket: list[Weight] = []
    size = 0
    for weight in weights:
        bucket.append(weight)
        size += sum(int(getattr(p, "ds_numel", 0)) * p.element_size() for p in weight.parts)
        if size >= bucket_bytes:
            yield bucket
            bucket, size = [], 0
    yield bucket


def named_weights(model: nn.Module, *, scale: float = 1.0) -> list[Weight]:
    """Every weight of the wrapped language model once, in order.

    Args:
        model: a `ScoringModel`.
        scale: factor of the adapters' product.
    """
    names: dict[nn.Parameter, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if name.startswith(PREFIX):
            names.setdefault(parameter, []).append(name.removeprefix(PREFIX))
    adapters = {known[0]: p for p, known in names.items() if known[0].endswith((A, B))}
    blocks = {_block(name) for name in adapters}
    found = []
    for parameter, known in names.items():
        if known[0] in adapters:
            continue
        layer = known[0].removesuffix(f"{BASE}weight")
        a, b = adapters.get(layer + A), adapters.get(layer + B)
        plain = [name.replace(BASE, ".") for name in known]
        found.append(
            Weight(
                names=plain,
                parameter=parameter,
                scale=scale,
                adapter=None if a is None or b is None else (a, b),
                moves=parameter.requires_grad or _block(plain[0]) in blocks,
            )
        )
    return found


def _block(name: str) -> str:
    found = BLOCK.match(name)
    return found[1] if found else name
