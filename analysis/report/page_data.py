"""What the page's script draws from: plain JSON, thinned and rounded so that a page stays small."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from analysis.report.narrative import ConditionCollapse
from analysis.report.run_details import facts
from analysis.run_findings import Curve, RunFindings, SignalChange
from analysis.study_findings import Condition, Findings, Interval
from analysis.text.numbers import (
    outcome,
)
from analysis.text.terms import KINDS, TITLES, title

Json = dict[str, Any]
POINTS = 500_000
"""Points of all curves together; more runs get fewer points each."""
OFTEN = 10
"""Evaluations of a run whose curve shows when something happened."""
FEWEST, MOST = 24, 400
"""Points of one curve."""


def payload(findings: Findings, collapses: Sequence[ConditionCollapse]) -> Json:
    """Everything that is drawn or shown in a run's details, for the page's script.

    Args:
        findings: the report.
        collapses: the conditions that have collapsed runs.
    """
    names = condition_names(findings)
    index = {name: place for place, name in enumerate(names)}
    conditions = {condition.name: condition for condition in findings.comparison.conditions}
    curves = sum(len(run.curves) for run in findings.runs)
    points = max(FEWEST, min(MOST, POINTS // max(curves, 1)))
    members: dict[str, list[RunFindings]] = {name: [] for name in names}
    for run in findings.runs:
        members[run.condition].append(run)
    return {
        "conditions": [
            _condition(name, members[name], conditions.get(name), points) for name in names
        ],
        "runs": [{**_run(run, points), "condition": index[run.condition]} for run in findings.runs],
        "collapses": [
            {
                "condition": index[collapse.condition],
                "signals": [s.signal for s in collapse.signals],
            }
            for collapse in collapses
        ],
        "titles": TITLES,
        "main": main_metric(findings),
    }


def main_metric(findings: Findings) -> str:
    """What shows best when accuracy was lost.

    Held-out accuracy where it was measured often, else the true reward, measured at every step.
    """
    tests = [len(run.curves["accuracy"].steps) for run in findings.runs if "accuracy" in run.curves]
    if tests and statistics.median(tests) >= OFTEN:
        return "accuracy"
    audited = any("oracle/true_reward" in run.curves for run in findings.runs)
    return "oracle/true_reward" if audited else "accuracy"


def condition_names(findings: Findings) -> list[str]:
    """The comparison's conditions, best first, then those that only the runs name."""
    compared = [condition.name for condition in findings.comparison.conditions]
    return list(dict.fromkeys([*compared, *(run.condition for run in findings.runs)]))


def thin(curve: Curve, points: int) -> Json:
    """At most `points` of a curve, first and last among them, with four significant digits.

    Returns:
        `{"v": values, "s": [first, stride]}`, or with every step in `s` where strides differ.
    """
    count = len(curve.steps)
    if count > points:
        places = [round(i * (count - 1) / (points - 1)) for i in range(points)]
    else:
        places = list(range(count))
    steps = [curve.steps[i] for i in places]
    strides = {b - a for a, b in pairwise(steps)}
    even = len(strides) == 1 and count > 2
    return {
        "v": [_rounded(curve.values[i]) for i in places],
        "s": [steps[0], strides.pop()] if even else steps,
        **({"even": True} if even else {}),
    }


def _rounded(value: float) -> float | None:
    return float(f"{value:.4g}") if value == value and abs(value) != float("inf") else None


def _ends(found: Interval | None) -> list[float] | None:
    return [found.mean, found.low, found.high] if found else None


def _condition(
    name: str, runs: Sequence[RunFindings], condition: Condition | None, points: int
) -> Json:
    spent = [run.spending for run in runs]
    values = [thin(s.value, points) for s in spent if s.value]
    return {
        "name": name,
        "oracle": bool(condition and condition.uses_oracle),
        "frontier": bool(condition and condition.on_frontier),
        "labels": _ends(condition.labels) if condition else None,
        "start": condition.start.mean if condition and condition.start else None,
        "accuracy": _ends(condition.accuracy) if condition else None,
        "vote_right": mean([s.vote_right for s in spent]),
        "none_correct": mean([s.none_correct for s in spent]),
        "values": values,
        "phases": phase_seconds(runs),
    }


def phase_seconds(runs: Sequence[RunFindings]) -> dict[str, float]:
    """Seconds of a step by phase, mean over the runs that know them."""
    known = [run.health for run in runs if run.health.phases and run.health.seconds_per_step]
    names = list(dict.fromkeys(name for health in known for name in health.phases))
    return {
        name: statistics.mean(h.phases.get(name, 0.0) * (h.seconds_per_step or 0.0) for h in known)
        for name in names
    }


def mean(values: Sequence[float | None]) -> float | None:
    """Of those that are known; None without any."""
    known = [value for value in values if value is not None]
    return statistics.mean(known) if known else None


def _run(run: RunFindings, points: int) -> Json:
    verdict = run.verdict
    return {
        "name": run.name,
        "outcome": outcome(run),
        "kind": KINDS[verdict.kind][0] if verdict.kind else "",
        "onset": verdict.onset if verdict.collapsed else None,
        "detected": verdict.detected,
        "warned": verdict.warned,
        "text": verdict.text,
        "warning": verdict.warning,
        "curves": {name: thin(curve, points) for name, curve in run.curves.items() if curve.steps},
        "signals": [_signal(change) for change in verdict.signals],
        "facts": facts(run),
        "settings": dict(run.settings),
        "examples": [dict(example) for example in run.examples],
        "problems": [[problem.path, problem.text] for problem in run.problems],
    }


def _signal(change: SignalChange) -> Json:
    return {
        "title": title(change.signal),
        "free": change.label_free,
        "step": change.step,
        "detected": change.detected,
        "text": change.text,
    }
