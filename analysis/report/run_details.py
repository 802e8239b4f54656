"""What the page shows of one run: its figures, and its curve as a small picture."""

from __future__ import annotations

from collections.abc import Mapping

from analysis.run_findings import RunFindings
from analysis.text.numbers import NONE, counted, duration, number, percent, steps_ahead
from analysis.text.terms import title

NAMED = 12
"""Annotators that are shown."""
SPARKLINE_WIDTH, SPARKLINE_HEIGHT = 96, 26
"""Pixels of a run's curve in the table."""


def facts(run: RunFindings) -> list[tuple[str, str]]:
    """A run's figures as (what, value), those without a value left out."""
    verdict, spent, health = run.verdict, run.spending, run.health
    of = f" of {run.steps_planned:,}" if run.steps_planned else ""
    detected = (
        f"step {verdict.detected}, {steps_ahead(verdict.lead)}" if verdict.lead is not None else ""
    )
    found = {
        "State": run.state,
        "Steps": f"{run.steps:,}{of}",
        "Seed": number(run.seed),
        "Measured by": title(verdict.measured_by) if verdict.measured_by else "",
        "Best level lost": percent(verdict.loss),
        "Onset": number(verdict.onset) if verdict.collapsed else "",
        "Onset by definition": number(verdict.defined_onset),
        "Detected by label-free signals": detected,
        "Held-out accuracy": f"{number(spent.accuracy_start)} → {number(spent.accuracy_end)}",
        "Labels bought": f"{spent.labels:,}",
        "Cost": number(spent.cost),
        "Answered by": _annotators(run),
        "Waited for labels": duration(spent.seconds_waited) if spent.seconds_waited >= 1 else "",
        "Labels that the data contradicts": percent(spent.labels_wrong),
        "Labels lost by roll-backs": number(spent.labels_left_behind or None),
        "Labels to the target": number(spent.labels_to_target),
        "Confirmed a right vote": percent(spent.vote_right),
        "No response correct": percent(spent.none_correct),
        "Recall against the oracle": percent(spent.oracle_recall),
        "Starts": _starts(run),
        "Work redone": f"{counted(health.steps_redone, 'step')}, {duration(health.seconds_lost)}"
        if health.steps_redone
        else "",
        "Waiting": duration(health.seconds_waiting) if health.seconds_waiting else "",
        "A step takes": f"{number(health.seconds_per_step)} s" if health.seconds_per_step else "",
        "Tokens per second": number(health.tokens_per_second),
        f"{health.device}-hours": number(health.device_hours or None),
        "Peak memory": f"{health.memory_gib:.1f} GiB" if health.memory_gib else "",
        "Folder": run.folder,
    }
    return [
        (what, value) for what, value in found.items() if value and set(value) - set(f"{NONE} →")
    ]


def _annotators(run: RunFindings) -> str:
    """Who was paid how much, and how long an answer took."""
    parts = []
    for one in run.spending.annotators[:NAMED]:
        pace = "" if one.median_seconds is None else f", {number(one.median_seconds)} s each"
        void = f", {one.voids} void" if one.voids else ""
        answers = counted(one.answers, "answer")
        parts.append(f"{one.annotator}: {answers}{void}{pace}, cost {number(one.cost)}")
    more = len(run.spending.annotators) - NAMED
    return "; ".join(parts) + (f"; {more} more" if more > 0 else "")


def _starts(run: RunFindings) -> str:
    health = run.health
    parts = [
        counted(count, noun)
        for count, noun in (
            (health.preemptions, "preemption"),
            (health.crashes, "crash"),
            (health.rollbacks, "roll-back"),
        )
        if count
    ]
    return f"{health.starts}{': ' if parts else ''}{', '.join(parts)}" if health.starts else ""


def sparkline(run: RunFindings) -> Mapping[str, str]:
    """A run's accuracy, else its true reward, from 0 to 1 in a small picture, 96 x 26.

    Args:
        run: the run.

    Returns:
        `line`, and `x`, `y` of the onset where it collapsed; empty without the curve.
    """
    curve = run.curves.get("accuracy") or run.curves.get("oracle/true_reward")
    if not curve or len(curve.steps) < 2:
        return {}
    first, last = curve.steps[0], max(curve.steps[-1], run.steps_planned or 0)
    stride = max(1, len(curve.steps) // 30)
    places = [*range(0, len(curve.steps) - 1, stride), len(curve.steps) - 1]

    def at(step: float, value: float) -> tuple[str, str]:
        x = 2 + (SPARKLINE_WIDTH - 4) * (step - first) / (last - first)
        y = 3 + (SPARKLINE_HEIGHT - 6) * (1 - min(max(value, 0.0), 1.0))
        return f"{x:.0f}", f"{y:.1f}"

    line = " ".join(",".join(at(curve.steps[i], curve.values[i])) for i in places)
    if not run.verdict.collapsed or run.verdict.onset is None:
        return {"line": line}
    onset = run.verdict.onset
    near = min(range(len(curve.steps)), key=lambda i: abs(curve.steps[i] - onset))
    x, y = at(onset, curve.values[near])
    return {"line": line, "x": x, "y": y}
