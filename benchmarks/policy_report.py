"""Tables and curves of `benchmarks.policies`, from its finished runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, median, stdev
from typing import Protocol

from benchmarks.policy_cells import CEILING, FLOOR, LINE, Cell, Cells
from benchmarks.policy_plot import draw_curves

STUDENT_T = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}
"""Number of seeds -> two-sided 95% quantile of Student's t with one degree of freedom less."""
NORMAL = 1.96


class Finished(Protocol):
    """What the report reads of a run."""

    @property
    def study(self) -> str:
        """`budget`, `reuse`, or a world's name."""

    @property
    def arm(self) -> str:
        """The line it belongs to."""

    @property
    def budget(self) -> float:
        """Share of a step's prompts, or of all of them."""

    @property
    def labels(self) -> int:
        """Bought."""

    @property
    def accuracy_end(self) -> float:
        """Held out."""

    @property
    def collapsed(self) -> bool:
        """By the definition."""

    @property
    def collapse_step(self) -> int | None:
        """Its onset."""

    @property
    def alarm_step(self) -> int | None:
        """Of the first early warning."""


def write_report(rows: Sequence[Finished], out: Path, *, machine: str) -> None:
    """Write `policies.md` and `policies.png` below `out`."""
    studies = {
        study: summarize([row for row in rows if row.study == study])
        for study in dict.fromkeys(row.study for row in rows)
    }
    budget, reuse = studies.pop("budget", {}), studies.pop("reuse", {})
    out.mkdir(parents=True, exist_ok=True)
    lines = [*_markdown(budget, reuse, machine), "", *_worlds(studies), "", *_warnings(rows)]
    (out / "policies.md").write_text("\n".join(lines) + "\n")
    if budget:
        draw_curves(budget, reuse, out / "policies.png")


def summarize(rows: Sequence[Finished]) -> dict[tuple[str, float], Cell]:
    """Means over seeds."""
    found: dict[tuple[str, float], list[Finished]] = {}
    for row in rows:
        found.setdefault((row.arm, row.budget), []).append(row)
    return {key: _cell(same) for key, same in found.items()}


def _cell(rows: Sequence[Finished]) -> Cell:
    accuracies = [row.accuracy_end for row in rows]
    spread = stdev(accuracies) if len(rows) > 1 else math.nan
    return Cell(
        seeds=len(rows),
        accuracy=mean(accuracies),
        half_width=STUDENT_T.get(len(rows), NORMAL) * spread / math.sqrt(len(rows)),
        labels=mean(row.labels for row in rows),
        collapsed=sum(row.collapsed for row in rows),
    )


def share_of_way(cells: Cells, arm: str, budget: float, *, to: tuple[str, float]) -> float | None:
    """(accuracy - random's) / (goal's - random's) at one budget; None where a run is missing."""
    keys = (arm, budget), (FLOOR, budget), to
    if any(key not in cells for key in keys):
        return None
    mine, floor, goal = (cells[key].accuracy for key in keys)
    return (mine - floor) / (goal - floor) if goal != floor else None


def _markdown(budget: Cells, reuse: Cells, machine: str) -> list[str]:
    lines = [
        "# Which labels to buy?",
        "",
        "Written by `python -m benchmarks.policies`; the runs are in `policies.csv`. Testbed, 150",
        "steps of 64 prompts x 8 rollouts, `rollout=hf`, one thread a run, two runs side by side,",
        f"on {machine}.",
        "Held-out accuracy at the end: mean over seeds and 95% interval of the mean (Student's t).",
        "",
        "## Share of a step's prompts bought, no label reused",
        "",
        *_by_budget(budget),
        "",
        "The same with labels bought, runs that collapsed, and how far each went from random",
        "labels to the oracle's line at this budget, and to full supervision:",
        "",
        *_table(budget, goals=True),
    ]
    if reuse:
        lines += ["", "## Share of all distinct prompts bought, labels reused", ""]
        lines += _table(reuse, goals=False)
    return lines


def _by_budget(cells: Cells) -> list[str]:
    """A row per policy, a column per budget, best policies first."""
    budgets = sorted({budget for _, budget in cells if 0 < budget < 1})
    lines = [
        f"| policy | {' | '.join(f'{budget:.0%}' for budget in budgets)} |",
        f"|---|{'---|' * len(budgets)}",
    ]
    arms = {arm: max(c.accuracy for (a, _), c in cells.items() if a == arm) for arm, _ in cells}
    for arm in sorted(arms, key=lambda name: -arms[name]):
        fixed = cells.get((arm, 1.0)) or cells.get((arm, 0.0))
        found = [fixed or cells.get((arm, budget)) for budget in budgets]
        texts = [f"{c.accuracy:.3f}{_interval(c)}" if c else "" for c in found]
        note = " (all labels)" if (arm, 1.0) in cells else " (no label)" if fixed else ""
        lines.append(f"| `{arm}`{note} | {' | '.join(texts)} |")
    return lines


def _worlds(studies: Mapping[str, Cells]) -> list[str]:
    """Accuracies in worlds that no setting was chosen on, a column per world."""
    arms = sorted({key for cells in studies.values() for key in cells})
    if not arms:
        return []
    lines = [
        "## Worlds that no setting was chosen on, no label reused",
        "",
        f"| policy | budget | {' | '.join(studies)} |",
        f"|---|---|{'---|' * len(studies)}",
    ]
    for arm, budget in arms:
        found = [cells.get((arm, budget)) for cells in studies.values()]
        texts = [f"{c.accuracy:.3f}{_interval(c)}" if c else "" for c in found]
        lines.append(f"| {arm} | {budget:g} | {' | '.join(texts)} |")
    return lines


def _interval(cell: Cell) -> str:
    return "" if math.isnan(cell.half_width) else f" ± {cell.half_width:.3f}"


def _table(cells: Cells, *, goals: bool) -> list[str]:
    extra = " random to oracle | random to full |" if goals else ""
    lines = [
        f"| policy | budget | labels | accuracy | collapsed |{extra}",
        f"|---|---|---|---|---|{'---|---|' if goals else ''}",
    ]
    for (arm, budget), cell in sorted(cells.items(), key=lambda item: (item[0][1], item[0][0])):
        line = (
            f"| {arm} | {budget:g} | {cell.labels:,.0f} | {cell.accuracy:.3f}{_interval(cell)} "
            f"| {cell.collapsed} of {cell.seeds} |"
        )
        if goals:
            for to in ((LINE, budget), (CEILING, 1.0)):
                share = share_of_way(cells, arm, budget, to=to)
                line += f" {'' if share is None else f'{share:.0%}'} |"
        lines.append(line)
    return lines


def _warnings(rows: Sequence[Finished]) -> list[str]:
    """How the early warning did: where its constants were chosen, and in other worlds."""
    lines = [
        "## Early warning",
        "",
        "Runs whose `collapse/risk` reached 0.5, and the steps from the onset of collapse to it",
        "(median; below 0 = before). A warned run that did not collapse is a false alarm.",
    ]
    seen = [row for row in rows if row.study in ("budget", "reuse")]
    unseen = [row for row in rows if row.study not in ("budget", "reuse")]
    lines += ["", "The testbed, on which its constants were chosen:", "", *_detected(seen)]
    if unseen:
        lines += ["", "The worlds above, seen by none of its constants:", "", *_detected(unseen)]
    return lines


def _detected(rows: Sequence[Finished]) -> list[str]:
    lines = [
        "| policy | collapsed | of these warned | median delay | not collapsed | of these warned |",
        "|---|---|---|---|---|---|",
    ]
    for arm in sorted({row.arm for row in rows}):
        mine = [row for row in rows if row.arm == arm]
        bad = [row for row in mine if row.collapse_step is not None]
        delays = [
            row.alarm_step - row.collapse_step
            for row in bad
            if row.alarm_step is not None and row.collapse_step is not None
        ]
        good = [row for row in mine if row.collapse_step is None]
        delay = f"{median(delays):+.0f}" if delays else ""
        warned = sum(row.alarm_step is not None for row in good)
        lines.append(f"| {arm} | {len(bad)} | {len(delays)} | {delay} | {len(good)} | {warned} |")
    return lines
