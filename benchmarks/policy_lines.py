"""Lines of the study: one policy at one budget in one world, over its seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from benchmarks.policy_arms import FULL, RANDOM
from benchmarks.policy_rows import Row
from benchmarks.policy_statistics import Estimate, difference_of, mean_of, ratio_of


class LineKey(NamedTuple):
    """What a line is known by within a study."""

    world: str
    arm: str
    budget: float


Seeds = Mapping[int, Row]
Lines = Mapping[LineKey, Seeds]


def lines_of(rows: Iterable[Row], study: str) -> dict[LineKey, dict[int, Row]]:
    """The lines of a study, in the order of their first runs."""
    found: dict[LineKey, dict[int, Row]] = {}
    for row in rows:
        if row.study == study:
            found.setdefault(LineKey(row.world, row.arm, row.budget), {})[row.seed] = row
    return found


def accuracies(runs: Seeds) -> list[float]:
    """Held-out accuracy at the end, by seed."""
    return [runs[seed].accuracy_end for seed in sorted(runs)]


def accuracy(runs: Seeds) -> Estimate:
    """Its mean."""
    return mean_of(accuracies(runs))


def shared(*several: Seeds) -> list[list[float]]:
    """Accuracies of those seeds that all lines have, a list per line."""
    seeds = sorted(set.intersection(*(set(runs) for runs in several)))
    return [[runs[seed].accuracy_end for seed in seeds] for runs in several]


def gap(lines: Lines, world: str, pair: tuple[str, str], budget: float) -> list[float]:
    """First policy minus second, a value per seed that both have; empty without one."""
    mine, other = (lines.get(LineKey(world, arm, budget), {}) for arm in pair)
    first, second = shared(mine, other)
    return [a - b for a, b in zip(first, second, strict=True)]


def share_of_full(lines: Lines, key: LineKey) -> Estimate | None:
    """Accuracy as a share of that with all labels; None where a run is missing."""
    full = lines.get(LineKey(key.world, FULL, 1.0), {})
    mine, ceiling = shared(lines[key], full)
    return ratio_of(mine, ceiling) if mine else None


def share_of_way(lines: Lines, key: LineKey) -> Estimate | None:
    """(accuracy - random's) / (full's - random's) at one budget.

    None where a run is missing, or where full's lead over random is within noise.
    """
    full = lines.get(LineKey(key.world, FULL, 1.0), {})
    random = lines.get(LineKey(key.world, RANDOM, key.budget), {})
    mine, ceiling, floor = shared(lines[key], full, random)
    if not mine:
        return None
    above = [a - b for a, b in zip(mine, floor, strict=True)]
    below = [a - b for a, b in zip(ceiling, floor, strict=True)]
    return ratio_of(above, below)


def change(runs: Seeds) -> Estimate:
    """Accuracy at the end minus that before training."""
    rows = [runs[seed] for seed in sorted(runs)]
    return difference_of([row.accuracy_end for row in rows], [row.accuracy_start for row in rows])


def fault_counts(runs: Iterable[Row]) -> str:
    """`collapsed 3, stopped ending 1`: how many runs have each fault; empty = none has any."""
    counts = Counter(fault for row in runs for fault in row.fault_names)
    return ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in counts.most_common())
