"""Figures for a paper: one column wide, SVG with text as text and PNG at 300 dots an inch.

The same findings give the same bytes: no date, no random identifiers.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from analysis.findings import Curve, Findings, RunFindings
from analysis.report.files import replaced
from analysis.report.narrative import ArmStory, stories
from analysis.report.numbers import clipped, outcome
from analysis.report.page_data import arm_names, main_metric, phase_seconds
from analysis.report.terms import title

Floats = npt.NDArray[np.float64]
WIDTH = 3.4
"""Inches: one column of two on a page."""
PANEL = 1.15
"""Inches of a small picture's height."""
DOTS = 300
MOST_ARMS = 12
"""Arms in a figure; the best come first."""
MOST_SIGNALS = 6
SMOOTHED = 10
"""Steps."""
HUES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
"""Okabe and Ito's, told apart with every kind of colour vision; yellow is too pale on paper."""
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


def write_figures(findings: Findings, path: Path) -> tuple[Path, ...]:
    """collapse, budget, signals, value and phases as .svg and .png below `path`, which exists.

    A figure without anything to draw says so, so that every link of the report leads somewhere.
    """
    drawn: dict[str, Callable[[Findings], Figure]] = {
        "collapse": collapse,
        "budget": budget,
        "signals": signals,
        "value": value,
        "phases": phases,
    }
    written: list[Path] = []
    with mpl.rc_context(STYLE):
        for name, draw in drawn.items():
            figure = draw(findings)
            for ending, canvas in ((".svg", FigureCanvasSVG), (".png", FigureCanvasAgg)):
                metadata = {"Date": None} if ending == ".svg" else {"Software": None}
                with replaced(path / f"{name}{ending}") as temporary, temporary.open("wb") as file:
                    canvas(figure)
                    figure.savefig(file, format=ending[1:], dpi=DOTS, metadata=metadata)
                written.append(path / f"{name}{ending}")
    return tuple(written)


def collapse(findings: Findings) -> Figure:
    """Held-out accuracy, or true reward, over steps, an arm a panel; a cross is an onset."""
    metric = main_metric(findings)
    shown = [
        (name, runs)
        for name in arm_names(findings)
        if (runs := [r for r in findings.runs if r.arm == name and metric in r.curves])
    ]
    if not shown:
        return _empty("no run has a held-out accuracy yet")
    rare = metric == "accuracy"
    last = max(run.curves[metric].steps[-1] for _, runs in shown for run in runs)
    with _panels(
        len(shown[:MOST_ARMS]), "step", f"{title(metric)}{'' if rare else ', 10-step mean'}"
    ) as (figure, panels):
        for panel, (name, runs) in zip(panels, shown, strict=False):
            panel.set_title(clipped(name, 30), loc="left")
            panel.set(xlim=(0, last), ylim=(-0.03, 1.03))
            for run in runs:
                _run(panel, run, run.curves[metric] if rare else smoothed(run.curves[metric]))
    return figure


def smoothed(curve: Curve) -> Curve:
    """Each value's mean with those of the nine steps before it, as collapse is defined."""
    frame = pd.Series(curve.values, index=pd.to_timedelta(list(curve.steps), unit="s"))
    means = frame.rolling(f"{SMOOTHED}s").mean()
    return Curve(steps=curve.steps, values=tuple(means.tolist()))


def _run(panel: Axes, run: RunFindings, curve: Curve) -> None:
    hue, dash = LINES[outcome(run)]
    panel.plot(curve.steps, curve.values, color=hue, linestyle=dash)
    onset = run.verdict.onset
    if run.verdict.collapsed and onset is not None:
        near = min(range(len(curve.steps)), key=lambda i: abs(curve.steps[i] - onset))
        panel.plot(onset, curve.values[near], "x", color=hue, markeredgewidth=1.2)


def budget(findings: Findings) -> Figure:
    """Held-out accuracy at the end against labels, with intervals over seeds, and the frontier."""
    arms = [arm for arm in findings.comparison.arms if arm.accuracy and arm.labels]
    if not arms:
        return _empty("no arm has a held-out accuracy yet")
    figure = Figure(figsize=(WIDTH, 2.4 + 0.07 * len(arms[:MOST_ARMS])), layout="constrained")
    panel = figure.add_subplot()
    edge = sorted(
        (a.labels.mean, a.accuracy.mean) for a in arms if a.on_frontier and a.labels and a.accuracy
    )
    panel.step(
        [x for x, _ in edge],
        [y for _, y in edge],
        ":",
        where="post",
        color="#555555",
        linewidth=0.7,
    )
    for place, arm in enumerate(arms[:MOST_ARMS]):
        if arm.accuracy is None or arm.labels is None:
            continue
        hue, end = HUES[place % len(HUES)], arm.accuracy
        panel.errorbar(
            arm.labels.mean,
            end.mean,
            yerr=[[end.mean - end.low], [end.high - end.mean]],
            fmt=MARKS[place % len(MARKS)],
            color=hue,
            capsize=1.5,
            elinewidth=0.7,
            markerfacecolor="white" if arm.uses_oracle else hue,
            label=clipped(arm.name, 34),
            clip_on=False,
        )
    panel.set_xscale("function", functions=(_root, _square))
    most = max(arm.labels.high for arm in arms if arm.labels)
    panel.set_xlim(0, most * 1.05 + 1)
    panel.set_xticks([0, *(float(f"{most * share:.1g}") for share in (0.02, 0.1, 0.25, 0.5, 1))])
    panel.xaxis.set_major_formatter("{x:,.0f}")
    panel.set(xlabel="labels bought (square-root scale)", ylabel="held-out accuracy at the end")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def _root(values: Floats) -> Floats:
    roots: Floats = np.sqrt(np.maximum(values, 0.0))
    return roots


def _square(values: Floats) -> Floats:
    squares: Floats = np.square(values)
    return squares


def signals(findings: Findings) -> Figure:
    """Signals of the most collapsed arm, by steps from each run's onset."""
    told = stories(findings)
    panels_of = _signals(told[0]) if told else []
    if not panels_of:
        return _empty("no run has collapsed")
    name = clipped(told[0].arm, 40)
    with _panels(len(panels_of), f"steps from the onset ({name})", "") as (figure, panels):
        for panel, metric in zip(panels, panels_of, strict=False):
            panel.set_title(clipped(title(metric), 30), loc="left")
            panel.axvline(0, color=HUES[1], linewidth=0.8)
            for run in told[0].runs:
                curve = run.curves.get(metric)
                if curve and run.verdict.onset is not None:
                    onset, curve = run.verdict.onset, smoothed(curve)
                    panel.plot(
                        [s - onset for s in curve.steps],
                        curve.values,
                        color=HUES[0],
                        linewidth=0.6,
                        alpha=0.8,
                    )
    return figure


def _signals(story: ArmStory) -> list[str]:
    found = [s.signal for s in story.signals if any(s.signal in r.curves for r in story.runs)]
    return found[:MOST_SIGNALS]


def value(findings: Findings) -> Figure:
    """Reward corrected per bought label over steps, the mean over an arm's runs."""
    by_arm = {
        name: [r.spending.value for r in findings.runs if r.arm == name and r.spending.value]
        for name in arm_names(findings)
    }
    shown = [(name, curves) for name, curves in by_arm.items() if curves][: len(HUES)]
    if not shown:
        return _empty("no label was bought")
    figure = Figure(figsize=(WIDTH, 2.3), layout="constrained")
    panel = figure.add_subplot()
    for place, (name, curves) in enumerate(shown):
        steps = sorted({step for curve in curves for step in curve.steps})
        found = [[c.values[c.steps.index(s)] for c in curves if s in c.steps] for s in steps]
        panel.plot(
            steps,
            [statistics.mean(values) for values in found],
            color=HUES[place],
            linestyle=DASHES[place],
            label=clipped(name, 34),
        )
    panel.set_ylim(bottom=0)
    panel.set(xlabel="step", ylabel="reward corrected per label")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def phases(findings: Findings) -> Figure:
    """Seconds of a step by phase, an arm a bar."""
    by_arm = {
        name: phase_seconds([run for run in findings.runs if run.arm == name])
        for name in arm_names(findings)
    }
    arms = [(name, seconds) for name, seconds in by_arm.items() if seconds][:MOST_ARMS]
    if not arms:
        return _empty("no run has told its times")
    names = list(dict.fromkeys(name for _, seconds in arms for name in seconds))
    figure = Figure(figsize=(WIDTH, 1.2 + 0.2 * len(arms)), layout="constrained")
    panel = figure.add_subplot()
    left = [0.0] * len(arms)
    for place, name in enumerate(names):
        seconds = [of.get(name, 0.0) for _, of in arms]
        panel.barh(
            range(len(arms)),
            seconds,
            left=left,
            label=name,
            edgecolor="white",
            color=HUES[place % len(HUES)],
            hatch=HATCHES[place % len(HATCHES)],
            linewidth=0.4,
        )
        left = [a + b for a, b in zip(left, seconds, strict=True)]
    panel.set_yticks(range(len(arms)), [clipped(arm, 26) for arm, _ in arms])
    panel.invert_yaxis()
    panel.set_xlabel("seconds a step")
    figure.legend(loc="outside lower center", ncols=5)
    return figure


@contextmanager
def _panels(count: int, below: str, beside: str) -> Iterator[tuple[Figure, list[Axes]]]:
    """Small pictures, two a row; what is not needed is taken away."""
    rows = math.ceil(count / 2)
    figure = Figure(figsize=(WIDTH, 0.35 + PANEL * rows), layout="constrained")
    panels = list(figure.subplots(rows, 2, squeeze=False).flat)
    for panel in panels[count:]:
        panel.remove()
    figure.supxlabel(below, fontsize=7)
    figure.supylabel(beside, fontsize=7)
    yield figure, panels[:count]


def _empty(words: str) -> Figure:
    figure = Figure(figsize=(WIDTH, 1.0))
    figure.text(0.5, 0.5, words, ha="center", va="center", color="#555555")
    return figure
