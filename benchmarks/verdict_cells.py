"""Cells that the tables of `benchmarks.verdicts` share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.verdict_plan import BATCHES
from benchmarks.verdict_rows import Row


def by_way(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """The runs of each way, in the order in which they come."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.way, []).append(row)
    return list(found.items())


def batches() -> str:
    """The head of a column with a figure for each batch."""
    return "/".join(map(str, BATCHES))


def by_batch(rows: Sequence[Row], holds: Callable[[Row], bool]) -> str:
    """Of how many runs it holds, batch by batch; `-` where there is no run."""
    cells = []
    for batch in BATCHES:
        mine = [row for row in rows if row.batch == batch]
        cells.append(str(sum(map(holds, mine))) if mine else "-")
    return "/".join(cells)
