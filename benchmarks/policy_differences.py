"""Which differences between policies are within noise: a table of `benchmarks.policies`."""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import fmean

from benchmarks.policy_arms import PAIRS
from benchmarks.policy_lines import Lines, gap
from benchmarks.policy_statistics import Estimate, mean_of
from benchmarks.policy_tables import interval

TOGETHER = "all of them"
"""Worlds nobody tuned on, each counted once."""


def verdict_of(found: Estimate) -> str:
    """`better`, `worse`, or `within noise`."""
    if math.isnan(found.low):
        return "one run"
    if not found.excludes_zero:
        return "within noise"
    return "better" if found.value > 0 else "worse"


def differences(lines: Lines, *, together: bool = False) -> list[str]:
    """A row per world, budget and pair.

    Args:
        lines: of one study.
        together: also over all worlds, with one value for each: its mean over seeds.
    """
    rows = []
    for budget in sorted({key.budget for key in lines}):
        for pair in PAIRS:
            gaps = {world: gap(lines, world, pair, budget) for world in _worlds(lines)}
            found = {world: values for world, values in gaps.items() if values}
            for world, values in found.items():
                rows.append(_row(world, budget, pair, values, "seeds"))
            if together and len(found) > 1:
                means = [fmean(values) for values in found.values()]
                rows.append(_row(TOGETHER, budget, pair, means, "worlds"))
    head = [
        "| world | budget | first | second | n | first minus second, 95% interval | first is |",
        "|---|---|---|---|---|---|---|",
    ]
    return head + rows if rows else []


def _worlds(lines: Lines) -> Iterable[str]:
    return dict.fromkeys(key.world for key in lines)


def _row(world: str, budget: float, pair: tuple[str, str], values: list[float], unit: str) -> str:
    found = mean_of(values)
    count = f"{len(values)} {unit if len(values) > 1 else unit.removesuffix('s')}"
    return (
        f"| {world} | {budget:.0%} | {pair[0]} | {pair[1]} | {count} "
        f"| {interval(found)} | {verdict_of(found)} |"
    )
