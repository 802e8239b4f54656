"""What the page's script draws from: plain JSON, thinned and rounded so that a page stays small."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from analysis.findings import Condition, Curve, Findings, Interval, RunFindings, Sign
from analysis.report.narrative import ArmStory
from analysis.report.numbers import (
    NONE,
    counted,
    duration,
    number,
    outcome,
    percent,
    steps_ahead,
)
from analysis.report.terms import KINDS, TITLES, title

Json = dict[str, Any]
POINTS = 500_000
"""Points of all curves together; more runs get fewer points each."""
OFTEN = 10
"""Evaluations of a run whose curve shows when something happened."""
FEWEST, MOST = 24, 400
"""Points of one curve."""
SPARK_WIDTH, SPARK_HEIGHT = 96, 26
"""Pixels of a run's curve in the table."""


def payload(findings: Findings, told: Sequence[ArmStory]) -> Json:
    """Everything that is drawn or shown in a run's details, for the page's script.

    Args:
        findings: the report.
        told: the arms that have collapsed runs.
    """
    names = arm_names(findings)
    index = {name: place for place, name in enumerate(names)}
    arms = {arm.name: arm for arm in findings.comparison.arms}
    curves = sum(len(run.curves) for run in findings.runs)
    points = max(FEWEST, min(MOST, POINTS // max(curves, 1)))
    members: dict[str, list[RunFindings]] = {name: [] for name in names}
    for run in findings.runs:
        members[run.arm].append(run)
    return {
        "arms": [_arm(name, members[name], arms.get(name), points) for name in names],
        "runs": [{**_run(run, points), "arm": index[run.arm]} for run in findings.runs],
        "stories": [
            {"arm": index[story.arm], "signals": [s.signal for s in story.signals]}
            for story in told
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


def arm_names(findings: Findings) -> list[str]:
    """The comparison's arms, best first, then those that only the runs name."""
    compared = [arm.name for arm in findings.comparison.arms]
    return list(dict.fromkeys([*compared, *(run.arm for run in findings.runs)]))


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


def _arm(name: str, runs: Sequence[RunFindings], arm: Condition | None, points: int) -> Json:
    spent = [run.spending for run in runs]
    values = [thin(s.value, points) for s in spent if s.value]
    return {
        "name": name,
        "oracle": bool(arm and arm.uses_oracle),
        "frontier": bool(arm and arm.on_frontier),
        "labels": _ends(arm.labels) if arm else None,
        "accuracy": _ends(arm.accuracy) if arm else None,
        "wasted": mean([s.wasted for s in spent]),
        "hopeless": mean([s.hopeless for s in spent]),
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
        "told": verdict.told,
        "warned": verdict.warned,
        "words": verdict.words,
        "warning": verdict.warning,
        "curves": {name: thin(curve, points) for name, curve in run.curves.items() if curve.steps},
        "signs": [_sign(sign) for sign in verdict.signs],
        "facts": facts(run),
        "settings": dict(run.settings),
        "examples": [dict(example) for example in run.examples],
        "problems": [[problem.path, problem.text] for problem in run.problems],
    }


def _sign(sign: Sign) -> Json:
    return {
        "title": title(sign.signal),
        "free": sign.label_free,
        "step": sign.step,
        "told": sign.told,
        "words": sign.words,
    }


def facts(run: RunFindings) -> list[tuple[str, str]]:
    """A run's figures as (what, value), those without a value left out."""
    verdict, spent, health = run.verdict, run.spending, run.health
    of = f" of {run.steps_planned:,}" if run.steps_planned else ""
    told = f"step {verdict.told}, {steps_ahead(verdict.lead)}" if verdict.lead is not None else ""
    found = {
        "State": run.state,
        "Steps": f"{run.steps:,}{of}",
        "Seed": number(run.seed),
        "Measured by": title(verdict.measured_by) if verdict.measured_by else "",
        "Best level lost": percent(verdict.loss),
        "Onset": number(verdict.onset) if verdict.collapsed else "",
        "Onset by definition": number(verdict.defined_onset),
        "Label-free signals told": told,
        "Held-out accuracy": f"{number(spent.accuracy_start)} → {number(spent.accuracy_end)}",
        "Labels bought": f"{spent.labels:,}",
        "Cost": number(spent.cost),
        "Labels left behind by roll-backs": number(spent.labels_left_behind or None),
        "Labels to the target": number(spent.labels_to_target),
        "Confirmed the vote": percent(spent.wasted),
        "Hopeless": percent(spent.hopeless),
        "Recall against the oracle": percent(spent.oracle_recall),
        "Starts": _starts(run),
        "Work done again": f"{counted(health.steps_redone, 'step')}, "
        f"{duration(health.seconds_lost)}"
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


def spark(run: RunFindings) -> Mapping[str, str]:
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
        x = 2 + (SPARK_WIDTH - 4) * (step - first) / (last - first)
        y = 3 + (SPARK_HEIGHT - 6) * (1 - min(max(value, 0.0), 1.0))
        return f"{x:.0f}", f"{y:.1f}"

    line = " ".join(",".join(at(curve.steps[i], curve.values[i])) for i in places)
    if not run.verdict.collapsed or run.verdict.onset is None:
        return {"line": line}
    onset = run.verdict.onset
    near = min(range(len(curve.steps)), key=lambda i: abs(curve.steps[i] - onset))
    x, y = at(onset, curve.values[near])
    return {"line": line, "x": x, "y": y}
