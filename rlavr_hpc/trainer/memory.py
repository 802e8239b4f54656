"""Memory that the ranks have needed."""

from __future__ import annotations

import resource

import torch
import torch.distributed as dist

from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.reduce import Max, Mean, Metrics

KIB_PER_GIB = 1 << 20
BYTES_PER_GIB = 1 << 30


def memory_metrics() -> Metrics:
    """Peaks since the attempt began, of this rank and of all; all ranks call this together."""
    mine = {names.SYS_MEMORY_MAX_GIB: _resident_gib(), **_accelerator_gib()}
    largest = torch.tensor(list(mine.values()), dtype=torch.float64)
    dist.all_reduce(largest, op=dist.ReduceOp.MAX)
    over_ranks = dict(zip(mine, map(Max, largest.tolist()), strict=True))
    return {names.SYS_MEMORY_GIB: Mean(mine[names.SYS_MEMORY_MAX_GIB]), **over_ranks}


def _resident_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB_PER_GIB


def _accelerator_gib() -> dict[str, float]:
    """What torch's allocator held; empty without an accelerator."""
    if not torch.cuda.is_available():
        return {}
    return {
        names.SYS_ACCELERATOR_PEAK_GIB: torch.cuda.max_memory_allocated() / BYTES_PER_GIB,
        names.SYS_ACCELERATOR_RESERVED_GIB: torch.cuda.max_memory_reserved() / BYTES_PER_GIB,
    }
