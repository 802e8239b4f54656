"""Brings the rollout engine to the policy's version, and the device's memory to who needs it.

All ranks call this together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

import torch

from rlavr_hpc.rollout.engine import RolloutEngine
from rlavr_hpc.trainer.policy.device_memory import release_unused_memory

MIB = 1 << 20


class SyncedPolicy(Protocol):
    """What a policy does for its rollout engine."""

    version: int

    @property
    def has_frozen(self) -> bool:
        """Whether some of the weights never change."""

    def weights(
        self, *, bucket_bytes: int, moving_only: bool
    ) -> Iterable[tuple[str, torch.Tensor]]:
        """Whole weights by their Hugging Face names; or only those that change."""

    def leave_device(self) -> None:
        """Make room for the engine; the weights stay."""

    def return_to_device(self) -> None:
        """Take the room back."""


def sync_weights(policy: SyncedPolicy, engine: RolloutEngine, *, bucket_mib: int) -> None:
    """Make room, and ship the policy's weights unless the engine holds this version already.

    What never changes is shipped to an engine that holds none, and after that stays there.
    """
    policy.leave_device()
    if engine.held == policy.version:
        return
    release_unused_memory()
    partial = policy.has_frozen and engine.held is not None
    weights = policy.weights(bucket_bytes=bucket_mib * MIB, moving_only=partial)
    engine.sync(weights, version=policy.version, partial=partial)


@contextmanager
def away(policy: SyncedPolicy) -> Iterator[None]:
    """Keep the policy's states off the device while the engine starts and claims its memory."""
    policy.leave_device()
    release_unused_memory()
    yield
    policy.return_to_device()


@contextmanager
def sleep_after(policy: SyncedPolicy, engine: RolloutEngine) -> Iterator[None]:
    """Give the memory back to training after a block, also when generation was given up.

    A checkpoint may follow in either case, and it needs the states that `sync_weights` sent away.
    """
    try:
        yield
    finally:
        engine.rest()
        release_unused_memory()
        policy.return_to_device()
