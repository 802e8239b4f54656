"""Brings the rollout engine to the policy's version, and hands the device's memory over.

All ranks call these functions together.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rlavr_hpc.rollout.engine import RolloutEngine
from rlavr_hpc.trainer.policy.device_memory import release_unused_memory
from rlavr_hpc.trainer.policy.protocol import SyncedPolicy

MIB = 1 << 20


def sync_weights(policy: SyncedPolicy, engine: RolloutEngine, *, bucket_mib: int) -> None:
    """Make room, and send the policy's weights unless the engine holds this version already.

    Weights that never change are sent to an engine that holds none; later syncs leave them out.
    """
    policy.offload_states()
    if engine.weights_version == policy.version:
        return
    release_unused_memory()
    partial = policy.has_frozen and engine.weights_version is not None
    weights = policy.weights(bucket_bytes=bucket_mib * MIB, moving_only=partial)
    engine.sync(weights, version=policy.version, partial=partial)


@contextmanager
def states_offloaded(policy: SyncedPolicy) -> Iterator[None]:
    """Keep the policy's states off the device while the engine starts and claims its memory."""
    policy.offload_states()
    release_unused_memory()
    yield
    policy.reload_states()


@contextmanager
def sleep_after(policy: SyncedPolicy, engine: RolloutEngine) -> Iterator[None]:
    """Give the memory back to training after a block, also when generation was aborted.

    A checkpoint may follow in either case; it needs the states that `sync_weights` offloaded.
    """
    try:
        yield
    finally:
        engine.sleep()
        release_unused_memory()
        policy.reload_states()
