"""Peak memory of the ranks, and free memory of the accelerators."""

from __future__ import annotations

import resource
from collections.abc import Callable

import torch
import torch.distributed as dist

from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.reduce import Max, Mean, Metrics, Min

KIB_PER_GIB = 1 << 20
BYTES_PER_GIB = 1 << 30


def memory_metrics() -> Metrics:
    """Peaks since the attempt started, of this rank and of all; all ranks call this together."""
    mine = {names.SYS_MEMORY_MAX_GIB: _resident_gib(), **_accelerator_gib()}
    largest = torch.tensor(list(mine.values()), dtype=torch.float64)
    dist.all_reduce(largest, op=dist.ReduceOp.MAX)
    over_ranks = dict(zip(mine, map(Max, largest.tolist()), strict=True))
    return {names.SYS_MEMORY_GIB: Mean(mine[names.SYS_MEMORY_MAX_GIB]), **over_ranks}


def _resident_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB_PER_GIB


def _accelerator_gib() -> dict[str, float]:
    """Peaks of torch's allocator; empty without an accelerator."""
    if not torch.cuda.is_available():
        return {}
    return {
        names.SYS_ACCELERATOR_PEAK_GIB: torch.cuda.max_memory_allocated() / BYTES_PER_GIB,
        names.SYS_ACCELERATOR_RESERVED_GIB: torch.cuda.max_memory_reserved() / BYTES_PER_GIB,
    }


def free_bytes() -> int | None:
    """Free memory of the accelerator, over all processes; None without an accelerator."""
    return torch.cuda.mem_get_info()[0] if torch.cuda.is_available() else None


class FreeMemory:
    """Free memory of the accelerator after the phases of a step."""

    def __init__(self, probe: Callable[[], int | None] = free_bytes) -> None:
        """Nothing is measured yet; `probe` returns the free bytes."""
        self._probe = probe
        self._least: dict[str, float] = {}

    def note(self, phase: str) -> None:
        """Measure at the end of a phase; the smallest value counts where a phase comes twice."""
        free = self._probe() if phase in names.MEMORY_PHASES else None
        if free is not None:
            gib = free / BYTES_PER_GIB
            self._least[phase] = min(gib, self._least.get(phase, gib))

    def metrics(self) -> Metrics:
        """The smallest value of all ranks, by phase; all ranks call this together."""
        least = torch.tensor(list(self._least.values()), dtype=torch.float64)
        if not len(least):
            return {}
        dist.all_reduce(least, op=dist.ReduceOp.MIN)
        return {
            names.free_name(phase): Min(value)
            for phase, value in zip(self._least, least.tolist(), strict=True)
        }
