"""Brings the rollout engine to the policy's version: once per version, all ranks together."""

from __future__ import annotations

import gc

import torch

from rlavr_hpc.rollout.engine import RolloutEngine
from rlavr_hpc.trainer.deepspeed_policy import DeepspeedPolicy

MIB = 1 << 20


def sync_weights(policy: DeepspeedPolicy, engine: RolloutEngine, *, bucket_mib: int) -> None:
    """Ship the policy's weights unless the engine holds this version already."""
    if engine.held == policy.version:
        return
    release_unused_memory()
    engine.sync(policy.weights(bucket_bytes=bucket_mib * MIB), version=policy.version)


def release_unused_memory() -> None:
    """Return cached accelerator memory before another tenant needs it."""
    if torch.cuda.is_available():
        gc.collect()
        torch.cuda.empty_cache()
