"""Brings the rollout engine to the policy's version, and the device's memory to who needs it.

All ranks call this together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

import torch

from rlavr_hpc.rollout.engine import RolloutEngine
from rlavr_hpc.trainer.device_memory import release_unused_memory

MIB = 1 << 20


class SyncedPolicy(Protocol):
    """What a policy does for its rollout engine."""

    version: int

    def weights(self, *, bucket_bytes: int) -> Iterable[tuple[str, torch.Tensor]]:
        """Whole weights by their Hugging Face names."""

    def leave_device(self) -> None:
        """Make room for the engine; the weights stay."""

    def return_to_device(self) -> None:
        """Take the room back."""


def sync_weights(policy: SyncedPolicy, engine: RolloutEngine, *, bucket_mib: int) -> None:
    """Make room, and ship the policy's weights unless the engine holds this version already."""
    policy.leave_device()
    if engine.held == policy.version:
        return
    release_unused_memory()
    engine.sync(policy.weights(bucket_bytes=bucket_mib * MIB), version=policy.version)


@contextmanager
def away(policy: SyncedPolicy) -> Iterator[None]:
    """Keep the policy's states off the device while the engine starts and claims its memory."""
    policy.leave_device()
    release_unused_memory()
    yield
    policy.return_to_device()


@contextmanager
def resting_after(policy: SyncedPolicy, engine: RolloutEngine) -> Iterator[None]:
    """Give the memory back to training after a block, also when generation was given up.

    A checkpoint may follow in either case, and it needs the states that `sync_weights` sent away.
    """
    try:
        yield
    finally:
        engine.rest()
        release_unused_memory()
        policy.return_to_device()
