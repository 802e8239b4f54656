"""Work on many runs at once, in processes of its own."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

from tqdm import tqdm

FEW = 8
"""Runs up to which starting processes takes longer than the work."""

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def each(
    work: Callable[[Item], Answer],
    items: Sequence[Item],
    *,
    workers: int,
    progress: str | None,
) -> Iterator[Answer]:
    """`work` on every item; answers in order.

    Args:
        work: what to do; importable when there are several workers.
        items: what to do it on, e.g. runs.
        workers: processes.
        progress: what the bar says is being done; None = no bar.
    """
    with tqdm(total=len(items), desc=progress, unit="run", disable=progress is None) as bar:
        if workers == 1 or len(items) <= FEW:
            for item in items:
                yield work(item)
                bar.update()
            return
        # forked workers would inherit the threads of numpy and pyarrow in an unknown state
        with ProcessPoolExecutor(
            workers, mp_context=get_context("spawn"), initializer=collect_seldom
        ) as pool:
            share = max(1, min(16, len(items) // (4 * workers)))
            for answer in pool.map(work, items, chunksize=share):
                yield answer
                bar.update()


def collect_seldom() -> None:
    """Look for cyclic garbage less often: a run's lines are many objects, and hold no cycles."""
    gc.freeze()
    gc.set_threshold(200_000, 20, 100)
