"""Whether new runs of `benchmarks.policies` agree with the committed ones, line by line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.policy_lines import LineKey, accuracies, accuracy, lines_of
from benchmarks.policy_plan import BUDGET
from benchmarks.policy_rows import Row
from benchmarks.policy_statistics import Estimate, mean_of, prediction_of
from benchmarks.policy_tables import symmetric

MISSED = 0.05
"""Chance that any line lies outside although nothing differs but the seeds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduced:
    """A line here and there."""

    key: LineKey
    here: Estimate
    seeds_here: int
    there: Estimate | None
    """None = there is no such line, or one run of it alone."""
    seeds_there: int
    expected: Estimate | None
    """Where the mean of so many new runs is expected."""

    @property
    def agrees(self) -> bool:
        """Whether it lies there; False with nothing to compare with."""
        return self.expected is not None and self.expected.low <= self.here.value <= (
            self.expected.high
        )


def reproduced(new: Sequence[Row], old: Sequence[Row]) -> list[Reproduced]:
    """Compare each new line with the old one.

    All lines together are to be inside with chance 1 - `MISSED` where only the seeds differ, so
    each interval is that of chance 1 - `MISSED` / lines (Bonferroni).

    Args:
        new: runs made here.
        old: committed ones, with other seeds.
    """
    here, there = lines_of(new, BUDGET), lines_of(old, BUDGET)
    comparable = sum(len(there.get(key, {})) > 1 for key in here)
    found = []
    for key, runs in here.items():
        others = there.get(key, {})
        known = len(others) > 1
        expected = (
            prediction_of(accuracies(others), new=len(runs), confidence=1 - MISSED / comparable)
            if known
            else None
        )
        found.append(
            Reproduced(
                key=key,
                here=accuracy(runs),
                seeds_here=len(runs),
                there=mean_of(accuracies(others)) if known else None,
                seeds_there=len(others),
                expected=expected,
            )
        )
    return found


def describe(found: Sequence[Reproduced], *, machines: tuple[str, str]) -> list[str]:
    """The comparison for people."""
    head = "policy", "budget", "committed (seeds)", "here (seeds)", "expected here"
    table = [head, *(_row(one) for one in found)]
    wide = [max(len(row[column]) for row in table) for column in range(len(head))]
    lines = [f"committed: {machines[1]}", f"here:      {machines[0]}", ""]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, wide, strict=True))
        lines.append("  ".join(cells).rstrip())
    outside = [one for one in found if not one.agrees]
    lines += [
        "",
        "Expected: the prediction interval for the mean of so many new seeds (Hahn and Meeker,",
        '"Statistical Intervals", 1991, chapter 4), for all lines together with chance '
        f"{1 - MISSED:.0%}.",
        f"{len(found) - len(outside)} of {len(found)} lines are inside.",
    ]
    return lines


def _row(one: Reproduced) -> tuple[str, str, str, str, str]:
    there = "none" if one.there is None else f"{symmetric(one.there)} ({one.seeds_there})"
    expected = "nothing to compare with"
    if one.expected is not None:
        verdict = "yes" if one.agrees else "NO"
        expected = f"{one.expected.low:.3f} to {one.expected.high:.3f}: {verdict}"
    here = f"{one.here.value:.3f} ({one.seeds_here})"
    return one.key.arm, f"{one.key.budget:.0%}", there, here, expected


def machines_of(rows: Sequence[Row]) -> str:
    """On which machines these runs were made."""
    return ", ".join(dict.fromkeys(row.machine for row in rows)) or "no run"
