"""What vLLM does to its process and leaves behind on CPU, undone. Imports no vLLM."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

SHARED_MEMORY = Path("/dev/shm")


@contextmanager
def without_shared_memory_left(rank: int, tensor_parallel: int) -> Iterator[None]:
    """Remove the name of this rank's shared memory, before vLLM creates it and once all use it.

    On CPU, ranks that share a model communicate through shared memory whose name is the same for
    every run. A killed run would leave it behind, and the next run could not start. Without a name
    the memory is freed when the processes end.
    """
    first = rank - rank % tensor_parallel
    group = "-".join(str(first + i) for i in range(tensor_parallel))
    ending = f"-[{group}]-cpushm_{rank - first}"

    def remove() -> None:
        for path in SHARED_MEMORY.iterdir() if tensor_parallel > 1 else ():
            if path.name.endswith(ending) and path.owner() == Path("/proc/self").owner():
                path.unlink(missing_ok=True)

    remove()
    yield
    remove()


@contextmanager
def thread_setter_kept() -> Iterator[None]:
    """Restore `torch.set_num_threads`, which vLLM replaces."""
    before = torch.set_num_threads
    try:
        yield
    finally:
        torch.set_num_threads = before


def replica_group(tensor_parallel: int, world_size: int) -> Any:  # noqa: ANN401
    """The CPU process group of this rank's replica; None where a replica is a single rank."""
    if tensor_parallel == 1:
        return None
    ranks = range(world_size)
    groups = [list(ranks[i : i + tensor_parallel]) for i in range(0, world_size, tensor_parallel)]
    mine, _ = dist.new_subgroups_by_enumeration(groups, backend="gloo")
    return mine
