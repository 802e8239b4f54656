"""Figures for a paper: one column wide, SVG with text as text and PNG at 300 dots an inch.

The same findings give the same bytes: no date, no random identifiers.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import mean

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from analysis.report.files import replaced
from analysis.report.page_data import condition_names, phase_seconds
from analysis.report.paper.curves import collapse, signals, value
from analysis.report.paper.style import (
    DOTS,
    HATCHES,
    HUES,
    MARKS,
    MOST_CONDITIONS,
    STYLE,
    WIDTH,
    empty_figure,
)
from analysis.study_findings import Findings
from analysis.text.numbers import clipped

Floats = npt.NDArray[np.float64]


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


def budget(findings: Findings) -> Figure:
    """Held-out accuracy at the end against labels, with intervals over seeds, and the frontier."""
    conditions = [
        condition
        for condition in findings.comparison.conditions
        if condition.accuracy and condition.labels
    ]
    if not conditions:
        return empty_figure("no condition has a held-out accuracy yet")
    figure = Figure(
        figsize=(WIDTH, 2.4 + 0.07 * len(conditions[:MOST_CONDITIONS])),
        layout="constrained",
    )
    panel = figure.add_subplot()
    edge = sorted(
        (a.labels.mean, a.accuracy.mean)
        for a in conditions
        if a.on_frontier and a.labels and a.accuracy
    )
    panel.step(
        [x for x, _ in edge],
        [y for _, y in edge],
        ":",
        where="post",
        color="#555555",
        linewidth=0.7,
    )
    for place, condition in enumerate(conditions[:MOST_CONDITIONS]):
        if condition.accuracy is None or condition.labels is None:
            continue
        hue, end = HUES[place % len(HUES)], condition.accuracy
        panel.errorbar(
            condition.labels.mean,
            end.mean,
            yerr=[[end.mean - end.low], [end.high - end.mean]],
            fmt=MARKS[place % len(MARKS)],
            color=hue,
            capsize=1.5,
            elinewidth=0.7,
            markerfacecolor="white" if condition.uses_oracle else hue,
            label=clipped(condition.name, 34),
            clip_on=False,
        )
    starts = [condition.start.mean for condition in conditions if condition.start]
    if starts:
        panel.plot(0, mean(starts), "x", color="#555555", label="untrained model", clip_on=False)
    panel.set_xscale("function", functions=(_root, _square))
    most = max(condition.labels.high for condition in conditions if condition.labels)
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


def phases(findings: Findings) -> Figure:
    """Seconds of a step by phase, a condition a bar."""
    by_condition = {
        name: phase_seconds([run for run in findings.runs if run.condition == name])
        for name in condition_names(findings)
    }
    conditions = [(name, seconds) for name, seconds in by_condition.items() if seconds][
        :MOST_CONDITIONS
    ]
    if not conditions:
        return empty_figure("no run has recorded its times")
    names = list(dict.fromkeys(name for _, seconds in conditions for name in seconds))
    figure = Figure(figsize=(WIDTH, 1.2 + 0.2 * len(conditions)), layout="constrained")
    panel = figure.add_subplot()
    left = [0.0] * len(conditions)
    for place, name in enumerate(names):
        seconds = [of.get(name, 0.0) for _, of in conditions]
        panel.barh(
            range(len(conditions)),
            seconds,
            left=left,
            label=name,
            edgecolor="white",
            color=HUES[place % len(HUES)],
            hatch=HATCHES[place % len(HATCHES)],
            linewidth=0.4,
        )
        left = [a + b for a, b in zip(left, seconds, strict=True)]
    panel.set_yticks(
        range(len(conditions)), [clipped(condition, 26) for condition, _ in conditions]
    )
    panel.invert_yaxis()
    panel.set_xlabel("seconds a step")
    figure.legend(loc="outside lower center", ncols=5)
    return figure
