"""Tables and curves of `benchmarks.policies`, from its finished runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median, stdev
from typing import Protocol

import matplotlib as mpl
import matplotlib.pyplot as plt

STUDENT_T = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}
"""Number of seeds -> two-sided 95% quantile of Student's t with one degree of freedom less."""
NORMAL = 1.96
FLOOR, CEILING, LINE = "random", "full", "cag_oracle, rest on votes"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One policy at one budget."""

    seeds: int
    accuracy: float
    """Mean over seeds of held-out accuracy at the end."""
    half_width: float
    """Of the 95% interval of that mean over seeds; not a number for one seed."""
    labels: float
    collapsed: int
    """Seeds that collapsed."""


Cells = Mapping[tuple[str, float], Cell]
"""(arm, budget) -> cell."""


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
        _draw(budget, reuse, out / "policies.png")


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


def _draw(budget: Cells, reuse: Cells, path: Path) -> None:
    mpl.use("Agg")
    figure, axes = plt.subplots(
        1, 2 if reuse else 1, figsize=(12 if reuse else 8, 4.2), squeeze=False, layout="constrained"
    )
    titles = ("share of a step's prompts, no reuse", "share of distinct prompts, labels reused")
    for axis, cells, title in zip(axes[0], (budget, reuse), titles, strict=False):
        for arm in sorted({name for name, _ in cells}):
            points = sorted((b, cell) for (name, b), cell in cells.items() if name == arm)
            if len(points) == 1 and arm in ("none", CEILING):
                axis.axhline(points[0][1].accuracy, linestyle=":", color="grey")
                axis.annotate(arm, (0.2, points[0][1].accuracy), ha="right", va="bottom")
                continue
            axis.errorbar(
                [b for b, _ in points],
                [c.accuracy for _, c in points],
                yerr=[0.0 if math.isnan(c.half_width) else c.half_width for _, c in points],
                marker="o",
                capsize=3,
                label=arm,
            )
        axis.set(xlabel=f"labels bought: {title}", ylabel="held-out accuracy", ylim=(0, 0.9))
    axes[0][-1].legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.savefig(path, dpi=130)
    plt.close(figure)
