"""What happened in the runs: one headline, and the collapses of each condition.

Here are the facts; the sentences are in `analysis/text/headline.j2` and `collapse.j2`.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from analysis.run_findings import CollapseKind, RunFindings, SignalChange
from analysis.study_findings import Findings
from analysis.text.numbers import outcome
from analysis.text.templates import write
from analysis.text.terms import title


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalAtCollapse:
    """One signal over the collapsed runs of a condition."""

    signal: str
    title: str
    label_free: bool
    runs: int
    """Collapsed runs in which it changed."""
    before: float | None
    """Median over these runs."""
    after: float | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionCollapse:
    """A condition with collapsed runs, and what happened to them."""

    condition: str
    runs: tuple[RunFindings, ...]
    """The collapsed ones."""
    judged: int
    when: str
    kinds: str
    warned_before: str
    """What label-free signals and the hint of collapse knew, and when."""
    signals: tuple[SignalAtCollapse, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """What a reader must know, in a few sentences."""

    verdict: str
    """`14 of 37 runs collapsed.`"""
    detail: str
    """Which conditions."""
    aside: str
    """Runs that are not judged."""
    best: str
    next: tuple[str, ...]


def headline(findings: Findings) -> Headline:
    """The first thing on the page."""
    counts = Counter(outcome(run) for run in findings.runs)
    judged = counts["collapsed"] + counts["healthy"]
    collapses = condition_collapses(findings)
    conditions = findings.comparison.conditions
    best = next((one for one in conditions if one.accuracy and not one.uses_oracle), None)
    single = findings.runs[0] if len(findings.runs) == 1 else None
    several = [run for run in findings.runs if single is None]
    lost = [run.verdict.nothing_learnt for run in several if run.verdict.nothing_learnt]
    return Headline(
        verdict=write(
            "headline",
            "verdict",
            runs=len(findings.runs),
            judged=judged,
            collapsed=counts["collapsed"],
            one=single,
        ),
        detail=write("headline", "detail", collapses=collapses, judged=judged),
        aside=write(
            "headline",
            "aside",
            unknown=counts["unknown"] - len(lost) if single is None else 0,
            planned=counts["planned"],
            failed=sum(run.state == "failed" for run in several),
            lost=lost,
        ),
        best=write("headline", "best", condition=best),
        next=_next(findings),
    )


def _next(findings: Findings) -> tuple[str, ...]:
    comparison = findings.comparison
    if findings.runs and all(run.verdict.nothing_learnt for run in findings.runs):
        return tuple(dict.fromkeys(run.verdict.text for run in findings.runs[:2]))
    if comparison.recommendation:
        return (comparison.recommendation,)
    if comparison.advice:
        return tuple(f"{line.condition}: {line.text}" for line in comparison.advice[:2])
    if not findings.runs:
        return ("Give a folder that holds runs: rlavr report runs/NAME",)
    if not any(run.curves for run in findings.runs):
        return ("Start the runs, then make this report again.",)
    return ()


def condition_collapses(findings: Findings) -> tuple[ConditionCollapse, ...]:
    """Every condition with a collapsed run, the largest collapsed share first."""
    by_condition: dict[str, list[RunFindings]] = {}
    for run in findings.runs:
        by_condition.setdefault(run.condition, []).append(run)
    made = [
        _condition_collapse(condition, runs)
        for condition, runs in by_condition.items()
        if any(run.verdict.collapsed for run in runs)
    ]
    return tuple(sorted(made, key=lambda c: (-len(c.runs) / c.judged, -c.judged, c.condition)))


def _condition_collapse(condition: str, runs: Sequence[RunFindings]) -> ConditionCollapse:
    collapsed = tuple(run for run in runs if run.verdict.collapsed)
    kinds = Counter(run.verdict.kind or CollapseKind.other for run in collapsed)
    return ConditionCollapse(
        condition=condition,
        runs=collapsed,
        judged=sum(run.verdict.collapsed is not None for run in runs),
        when=when(collapsed),
        kinds=write("collapse", "kinds", counts=kinds.most_common(), runs=len(collapsed)),
        warned_before=warned_before(collapsed),
        signals=_signals(collapsed),
    )


def when(collapsed: Sequence[RunFindings]) -> str:
    """`from step 38`, or `from step 27 to 63, median 45`."""
    onsets = [run.verdict.onset for run in collapsed if run.verdict.onset is not None]
    first, last = min(onsets, default=None), max(onsets, default=None)
    median = statistics.median(onsets) if onsets else None
    return write("collapse", "when", first=first, last=last, median=median)


def warned_before(collapsed: Sequence[RunFindings]) -> str:
    """What label-free signals and the hint of collapse knew about collapsed runs, and when."""
    leads = [run.verdict.lead for run in collapsed if run.verdict.lead is not None]
    return write(
        "collapse",
        "warned_before",
        runs=len(collapsed),
        leads=leads,
        lead=_median(leads),
        warned=[run.verdict.warned for run in collapsed if run.verdict.warned is not None],
    )


def _signals(collapsed: Sequence[RunFindings]) -> tuple[SignalAtCollapse, ...]:
    """Those that changed in most runs first, then those that changed most."""
    ranks: dict[str, list[int]] = {}
    found: dict[str, list[tuple[RunFindings, SignalChange]]] = {}
    for run in collapsed:
        changed = [change for change in run.verdict.signals if change.step is not None]
        for rank, change in enumerate(changed):
            ranks.setdefault(change.signal, []).append(rank)
            found.setdefault(change.signal, []).append((run, change))
    order = sorted(ranks, key=lambda name: (-len(ranks[name]), statistics.mean(ranks[name]), name))
    return tuple(_signal(name, found[name], len(collapsed)) for name in order)


def _signal(
    name: str, found: Sequence[tuple[RunFindings, SignalChange]], of: int
) -> SignalAtCollapse:
    before = _median([change.before for _, change in found])
    after = _median([change.after for _, change in found])
    gaps = [
        run.verdict.onset - change.step
        for run, change in found
        if run.verdict.onset is not None and change.step is not None
    ]
    facts = {"before": before, "after": after, "gap": _median(gaps), "found": len(found)}
    return SignalAtCollapse(
        signal=name,
        title=title(name),
        label_free=found[0][1].label_free,
        runs=len(found),
        before=before,
        after=after,
        text=write("collapse", "signal", runs=of, **facts),
    )


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None
