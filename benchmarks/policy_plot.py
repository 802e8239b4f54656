"""Curves of `benchmarks.policies`."""

from __future__ import annotations

import math
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt

from benchmarks.policy_arms import FULL, NONE
from benchmarks.policy_lines import Lines, accuracy


def draw_curves(budget: Lines, reuse: Lines, path: Path) -> None:
    """Draw accuracy against budget, and against labels where they are reused."""
    mpl.use("Agg")
    figure, axes = plt.subplots(
        1, 2 if reuse else 1, figsize=(12 if reuse else 8, 4.2), squeeze=False, layout="constrained"
    )
    titles = ("share of a step's prompts, no reuse", "share of distinct prompts, labels reused")
    for axis, lines, title in zip(axes[0], (budget, reuse), titles, strict=False):
        for arm in sorted({key.arm for key in lines}):
            points = sorted(
                (key.budget, accuracy(runs)) for key, runs in lines.items() if key.arm == arm
            )
            if arm in (NONE, FULL):
                axis.axhline(points[0][1].value, linestyle=":", color="grey")
                axis.annotate(arm, (0.2, points[0][1].value), ha="right", va="bottom")
                continue
            spreads = [found.half_width for _, found in points]
            axis.errorbar(
                [share for share, _ in points],
                [found.value for _, found in points],
                yerr=[0.0 if math.isnan(spread) else spread for spread in spreads],
                marker="o",
                capsize=3,
                label=arm,
            )
        axis.set(xlabel=f"labels bought: {title}", ylabel="held-out accuracy", ylim=(0, 0.9))
    axes[0][-1].legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.savefig(path, dpi=130)
    plt.close(figure)
