"""Communication between ranks: gather, decide on rank 0, agree on whether to stop.

An error on rank 0 is raised on every rank, so that no rank waits for it in a collective.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from rlavr_hpc.errors import OutOfTimeError, RlavrError

T = TypeVar("T")


def gather_lists(mine: Sequence[T]) -> list[list[T]]:
    """Every rank's list, in rank order, on every rank."""
    if dist.get_world_size() == 1:
        return [list(mine)]
    parts: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(parts, list(mine))
    return parts


def gather_on_main(mine: Sequence[T]) -> list[list[T]]:
    """Every rank's list, in rank order, on rank 0; an empty list on the others."""
    if dist.get_world_size() == 1:
        return [list(mine)]
    is_main = dist.get_rank() == 0
    parts: list[Any] | None = [None] * dist.get_world_size() if is_main else None
    dist.gather_object(list(mine), parts, dst=0)
    return parts or []


def on_main(decide: Callable[[], T]) -> T:
    """Run `decide` on rank 0; every rank returns its result or raises its error."""
    if dist.get_world_size() == 1:
        return decide()
    box: list[Any] = [None, None]
    if dist.get_rank() == 0:
        box = _attempt(decide)
    dist.broadcast_object_list(box, src=0)
    result, error = box
    if error is not None:
        raise error
    return result  # type: ignore[no-any-return]


def on_main_only(build: Callable[[], T]) -> T | None:
    """Run `build` on rank 0 and keep its result there; its error is raised on every rank."""
    built: list[T] = []

    def keep() -> None:
        built.append(build())

    on_main(keep)
    return built[0] if built else None


def _attempt(decide: Callable[[], Any]) -> list[Any]:
    try:
        return [decide(), None]
    except RlavrError as error:
        return [None, error]
    except Exception as error:  # noqa: BLE001  every rank must raise it
        return [None, RlavrError(f"rank 0: {type(error).__name__}: {error}")]


def anyone(flag: bool) -> bool:
    """Whether the flag is set on any rank."""
    return anyone_each(flag)[0]


def anyone_each(*flags: bool) -> tuple[bool, ...]:
    """Of each flag, whether it is set on any rank."""
    votes = torch.tensor([float(flag) for flag in flags])
    dist.all_reduce(votes, op=dist.ReduceOp.MAX)
    return tuple(bool(vote) for vote in votes.tolist())


def abort_together(out_of_time: Callable[[], bool]) -> None:
    """Raise OutOfTimeError on every rank when one of them has no time left."""
    if anyone(out_of_time()):
        raise OutOfTimeError("a stop signal leaves no time for the work in progress")


def everyone(work: Callable[[], None]) -> None:
    """Run `work` on every rank; the first rank's error is raised on all of them."""
    _, error = _attempt(work)
    errors = [error for part in gather_lists([error]) for error in part if error is not None]
    if errors:
        raise errors[0]


def leave() -> None:
    """Leave the process group; all ranks call this together."""
    barrier()
    dist.destroy_process_group()


def barrier() -> None:
    """Wait for every rank."""
    anyone(flag=False)
