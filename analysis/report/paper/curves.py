"""Figures for a paper that show curves over steps."""

from __future__ import annotations

import statistics

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.report.narrative import ConditionCollapse, condition_collapses
from analysis.report.page_data import condition_names, main_metric
from analysis.report.paper.style import (
    DASHES,
    HUES,
    LINES,
    MOST_CONDITIONS,
    MOST_SIGNALS,
    WIDTH,
    empty_figure,
    panel_grid,
    smoothed,
)
from analysis.run_findings import Curve, RunFindings
from analysis.study_findings import Findings
from analysis.text.numbers import clipped, outcome
from analysis.text.terms import title


def collapse(findings: Findings) -> Figure:
    """Held-out accuracy, or true reward, over steps, a condition a panel; a cross is an onset."""
    metric = main_metric(findings)
    shown = [
        (name, runs)
        for name in condition_names(findings)
        if (runs := [r for r in findings.runs if r.condition == name and metric in r.curves])
    ]
    if not shown:
        return empty_figure("no run has a held-out accuracy yet")
    rare = metric == "accuracy"
    last = max(run.curves[metric].steps[-1] for _, runs in shown for run in runs)
    last = max(1, last)  # an axis from 0 to 0 is none
    with panel_grid(
        len(shown[:MOST_CONDITIONS]),
        "step",
        f"{title(metric)}{'' if rare else ', 10-step mean'}",
    ) as (figure, panels):
        for panel, (name, runs) in zip(panels, shown, strict=False):
            panel.set_title(clipped(name, 30), loc="left")
            panel.set(xlim=(0, last), ylim=(-0.03, 1.03))
            for run in runs:
                _run(
                    panel,
                    run,
                    run.curves[metric] if rare else smoothed(run.curves[metric]),
                )
    return figure


def _run(panel: Axes, run: RunFindings, curve: Curve) -> None:
    hue, dash = LINES[outcome(run)]
    panel.plot(curve.steps, curve.values, color=hue, linestyle=dash)
    onset = run.verdict.onset
    if run.verdict.collapsed and onset is not None:
        near = min(range(len(curve.steps)), key=lambda i: abs(curve.steps[i] - onset))
        panel.plot(onset, curve.values[near], "x", color=hue, markeredgewidth=1.2)


def signals(findings: Findings) -> Figure:
    """Signals of the most collapsed condition, by steps from each run's onset."""
    first = next(iter(condition_collapses(findings)), None)
    panels_of = _signals(first) if first else []
    if first is None or not panels_of:
        return empty_figure("no run has collapsed")
    name = clipped(first.condition, 40)
    with panel_grid(len(panels_of), f"steps from the onset ({name})", "") as (
        figure,
        panels,
    ):
        for panel, metric in zip(panels, panels_of, strict=False):
            panel.set_title(clipped(title(metric), 30), loc="left")
            panel.axvline(0, color=HUES[1], linewidth=0.8)
            for run in first.runs:
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


def _signals(collapse: ConditionCollapse) -> list[str]:
    found = [s.signal for s in collapse.signals if any(s.signal in r.curves for r in collapse.runs)]
    return found[:MOST_SIGNALS]


def value(findings: Findings) -> Figure:
    """Reward corrected per bought label over steps, the mean over a condition's runs."""
    by_condition = {
        name: [r.spending.value for r in findings.runs if r.condition == name and r.spending.value]
        for name in condition_names(findings)
    }
    shown = [(name, curves) for name, curves in by_condition.items() if curves][: len(HUES)]
    if not shown:
        return empty_figure("no label was bought")
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
