"""The global generators of Python, numpy and torch, as values that can be stored."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def get_states() -> dict[str, Any]:
    """The states, made of plain values and tensors."""
    version, words, gauss = random.getstate()
    name, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002  libraries draw from it
    return {
        "python": (version, torch.tensor(words), gauss),
        "numpy": (name, torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
    }


def seed_all(seed: int, *, rank: int) -> None:
    """Seed all generators; each rank gets its own noise."""
    words = np.random.SeedSequence([seed, rank]).generate_state(2)
    random.seed(int(words[0]))
    np.random.seed(words)  # noqa: NPY002
    torch.manual_seed(int(words[1]))


def set_states(states: Mapping[str, Any]) -> None:
    """Restore states of `get_states`."""
    version, words, gauss = states["python"]
    random.setstate((version, tuple(words.tolist()), gauss))
    name, keys, *rest = states["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(states["torch"])
    if states["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])  # of this rank's device, which is the current one


@contextmanager
def kept() -> Iterator[None]:
    """Restore the states after a block of library code that may change them."""
    before = get_states()
    try:
        yield
    finally:
        set_states(before)
