"""Curves of `benchmarks.policies`."""

from __future__ import annotations

import math
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt

from benchmarks.policy_cells import CEILING, Cells


def draw_curves(budget: Cells, reuse: Cells, path: Path) -> None:
    """Draw accuracy against budget, and against labels where they are reused."""
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
