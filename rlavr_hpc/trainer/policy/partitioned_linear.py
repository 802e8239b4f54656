"""Limits DeepSpeed's replacement of `torch.nn.functional.linear` to partitioned models.

Building a model partitioned by ZeRO-3 replaces that function for the whole process. The
replacement keeps no gathered weight alive until the backward pass, but adds a tenth of a
millisecond to each call, also in models that are not partitioned: those that generate, and the
acquisition policy's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch.nn import functional

Linear = Callable[..., torch.Tensor]


class PartitionedLinear:
    """Holds the replacement, and installs it where it is needed."""

    def __init__(self) -> None:
        self._replacement: Linear = functional.linear

    @contextmanager
    def building(self) -> Iterator[None]:
        """Build a partitioned model inside this block."""
        plain = functional.linear
        try:
            yield
        finally:
            self._replacement = functional.linear
            functional.linear = plain

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Run a partitioned model's forward and backward passes inside this block."""
        plain = functional.linear
        functional.linear = self._replacement
        try:
            yield
        finally:
            functional.linear = plain
