"""How the figures for a paper look: one column wide, colours, marks, and panels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.run_findings import Curve

WIDTH = 3.4
"""Inches: one column of two on a page."""
PANEL = 1.15
"""Inches of a small picture's height."""
DOTS = 300
MOST_CONDITIONS = 12
"""Conditions in a figure; the best come first."""
MOST_SIGNALS = 6
SMOOTHED = 10
"""Steps."""
HUES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
"""Okabe and Ito's, distinguishable with every colour vision; yellow is too pale on paper."""
DASHES = ("-", "--", ":", "-.", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)))
MARKS = ("o", "s", "D", "^", "P", "*", "p", "v", "<")
HATCHES = ("", "//", "", "xx", "", "\\\\", "", "--", "..")
"""Marks and hatches repeat after nine, colours after eight: no two of 72 look alike."""
LINES = {"collapsed": (HUES[1], "--"), "healthy": (HUES[0], "-"), "unknown": (HUES[7], ":")}
STYLE: dict[Any, Any] = {
    "font.size": 7,
    "font.family": "DejaVu Sans",
    "axes.titlesize": 7,
    "axes.labelsize": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.labelsize": 6,
    "ytick.labelsize": 6,
    "legend.fontsize": 6,
    "legend.frameon": False,
    "lines.linewidth": 0.9,
    "lines.markersize": 3.5,
    "hatch.linewidth": 0.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "rlavr",
    "text.parse_math": False,
}


@contextmanager
def panel_grid(count: int, below: str, beside: str) -> Iterator[tuple[Figure, list[Axes]]]:
    """Small pictures, two a row; what is not needed is taken away."""
    rows = math.ceil(count / 2)
    figure = Figure(figsize=(WIDTH, 0.35 + PANEL * rows), layout="constrained")
    made = list(figure.subplots(rows, 2, squeeze=False).flat)
    for panel in made[count:]:
        panel.remove()
    figure.supxlabel(below, fontsize=7)
    figure.supylabel(beside, fontsize=7)
    yield figure, made[:count]


def empty_figure(words: str) -> Figure:
    """A figure that says why there is nothing to draw."""
    figure = Figure(figsize=(WIDTH, 1.0))
    figure.text(0.5, 0.5, words, ha="center", va="center", color="#555555")
    return figure


def smoothed(curve: Curve) -> Curve:
    """Each value's mean with those of the nine steps before it, as collapse is defined."""
    frame = pd.Series(curve.values, index=pd.to_timedelta(list(curve.steps), unit="s"))
    means = frame.rolling(f"{SMOOTHED}s").mean()
    return Curve(steps=curve.steps, values=tuple(means.tolist()))
