"""The recommendation: which policy at which budget to use next, and which ones to avoid.

Here is the choice; the sentences are in `analysis/text/advice.j2`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean, median

from analysis.run_findings import RunFindings
from analysis.study_findings import Advice, Condition, Contrast, Interval, Standing
from analysis.text.templates import write

ENOUGH = 0.9
"""Share of the best condition's gain that the recommended one must have: of those that have it, it
is the one with the fewest labels."""
OPTIONS, AVOIDED = 4, 8
"""Lines on each, per task."""
CHOSEN = (Standing.recommended, Standing.undecided)
BUYS_ALL = "full"
"""The policy that buys every label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One condition, and what the choice between conditions needs."""

    condition: Condition
    start: float
    """Mean held-out accuracy before training."""
    onset: int | None
    """Median step at which its runs collapsed."""

    @property
    def name(self) -> str:
        """Of the condition."""
        return self.condition.name

    @property
    def accuracy(self) -> Interval:
        """Of conditions with an outcome only."""
        assert self.condition.accuracy is not None
        return self.condition.accuracy

    @property
    def gain(self) -> float:
        """Held-out accuracy won by training."""
        return self.accuracy.mean - self.start

    @property
    def labels(self) -> float:
        """Mean labels bought."""
        return self.condition.labels.mean if self.condition.labels else 0.0

    @property
    def buys_all(self) -> bool:
        """Whether no policy could buy more."""
        return self.condition.policy == BUYS_ALL


def advise(
    tasks: Mapping[str, Sequence[Condition]],
    runs: Mapping[str, RunFindings],
    contrasts: Sequence[Contrast],
    efficient: Collection[str],
) -> tuple[tuple[Advice, ...], str]:
    """Ranked advice, and its sum in a few sentences.

    A condition is recommended only if it reads no labels that nobody bought, none of its runs
    collapsed, and training raised its accuracy.

    Args:
        tasks: conditions that can be compared, best first, by what they have in common ("" = all).
        runs: by name.
        contrasts: of the report.
        efficient: names of the conditions on the frontier of accuracy against labels.
    """
    advice: list[Advice] = []
    summaries: list[str] = []
    for task, conditions in tasks.items():
        known = [_candidate(one, runs) for one in conditions if one.accuracy or one.collapsed]
        found, summary = _advise(known, contrasts, efficient)
        prefix = f"[{task}] " if task and len(tasks) > 1 else ""
        advice += [replace(one, text=prefix + one.text) for one in found]
        summaries.append(prefix + summary)
    ranked = tuple(replace(one, rank=rank) for rank, one in enumerate(advice, start=1))
    return ranked, " ".join(summaries) or "There are no runs to compare."


def _was_right(one: Candidate) -> bool:
    """Whether a held-out response was right at the start or the end, or this is not known."""
    return one.condition.accuracy is None or one.condition.accuracy.mean > 0 or one.gain != 0


def _candidate(condition: Condition, runs: Mapping[str, RunFindings]) -> Candidate:
    own = [runs[name] for name in condition.runs]
    starts = [
        run.spending.accuracy_start
        for run in own
        if run.finished and run.spending.accuracy_start is not None
    ]
    onsets = [
        run.verdict.onset for run in own if run.verdict.collapsed and run.verdict.onset is not None
    ]
    return Candidate(
        condition=condition,
        start=mean(starts) if starts else 0.0,
        onset=round(median(onsets)) if onsets else None,
    )


def _advise(
    known: Sequence[Candidate], contrasts: Sequence[Contrast], efficient: Collection[str]
) -> tuple[list[Advice], str]:
    """The advice on one task."""
    usable = [one for one in known if not one.condition.uses_oracle]
    sound = [one for one in usable if not one.condition.collapsed and one.gain > 0]
    bounds = [one for one in known if one.condition.uses_oracle and one.condition.accuracy]
    last = [*_avoided(usable), *(_about(one, Standing.upper_bound) for one in bounds[:1])]
    if not sound:
        most = max(usable, key=_labels, default=None)
        collapsed = any(one.condition.collapsed for one in usable)
        never_right = bool(usable) and not any(map(_was_right, usable))
        facts = {"most": most, "collapsed": collapsed, "never_right": never_right}
        return last, write("advice", "nothing", **facts)
    best = max(sound, key=lambda one: one.gain)
    enough = [one for one in sound if one.gain >= ENOUGH * best.gain]
    first = min(enough, key=lambda one: (one.labels, -one.accuracy.mean))
    ceiling = next((one for one in sound if one.buys_all), best)
    others = [one for one in sound if one is not first and one.name in efficient]
    lead = _lead(first, sound, contrasts)
    advice = [
        _chosen(first, ceiling, usable, lead, alone=len(known) == 1),
        *(_alternative(one, first, contrasts) for one in others[:OPTIONS]),
        *(_about(a, Standing.dominated, better=b) for a, b in _dominated(sound)[:OPTIONS]),
    ]
    cheapest = min(others, key=_labels, default=first)
    summary = write(
        "advice",
        "in_short",
        first=first,
        ceiling=ceiling,
        lead=lead,
        alone=len(known) == 1,
        cheapest=cheapest if cheapest.labels < first.labels else None,
        collapsed=[one.name for one in usable if one.condition.collapsed],
    )
    return [*advice, *last], summary


def _labels(candidate: Candidate) -> float:
    return candidate.labels


def _lead(
    first: Candidate, sound: Sequence[Candidate], contrasts: Sequence[Contrast]
) -> Contrast | None:
    """Over the next best policy that learns with the same budget; None without one.

    Where that one is better on the seeds both have, the contrast says so.
    """
    own = first.condition
    rivals = [
        one
        for one in sound
        if one.condition.budget == own.budget and one.condition.policy != own.policy
    ]
    if not rivals:
        return None
    pair = {first.name, max(rivals, key=lambda one: one.gain).name}
    return next((c for c in contrasts if {c.better, c.worse} == pair), None)


def _chosen(
    first: Candidate,
    ceiling: Candidate,
    usable: Sequence[Candidate],
    lead: Contrast | None,
    *,
    alone: bool,
) -> Advice:
    """With how sure its lead is over the next best policy, and the experiment that is missing."""
    own = first.condition
    smaller = [
        one
        for one in usable
        if one.condition.policy == own.policy
        and (one.condition.budget or 0.0) < (own.budget or 0.0)
    ]
    return _about(
        first,
        Standing.recommended
        if not alone and (lead is None or lead.significant)
        else Standing.undecided,
        ceiling=ceiling,
        lead=lead,
        alone=alone,
        smaller=smaller,
        cheaper=any(one.labels < first.labels for one in usable),
    )


def _alternative(candidate: Candidate, first: Candidate, contrasts: Sequence[Contrast]) -> Advice:
    pair = {candidate.name, first.name}
    contrast = next((c for c in contrasts if {c.better, c.worse} == pair), None)
    return _about(candidate, Standing.alternative, first=first, contrast=contrast)


def _avoided(usable: Sequence[Candidate]) -> list[Advice]:
    bad = [one for one in usable if one.condition.collapsed or one.gain <= 0]
    shown = [_about(one, _standing(one)) for one in bad[:AVOIDED]]
    if len(bad) > AVOIDED:
        last = bad[AVOIDED - 1]
        shown[-1] = _about(last, _standing(last), more=len(bad) - AVOIDED)
    return shown


def _standing(candidate: Candidate) -> Standing:
    """Of a condition that is no choice."""
    return Standing.avoid if candidate.condition.collapsed else Standing.no_gain


def _dominated(sound: Sequence[Candidate]) -> list[tuple[Candidate, Candidate]]:
    """Conditions, each with a better one that has as many labels or fewer: the fewest there are."""
    pairs = []
    for one in sound:
        better = [
            other
            for other in sound
            if other.accuracy.mean > one.accuracy.mean and other.labels <= one.labels
        ]
        if better:
            pairs.append((one, min(better, key=_labels)))
    return pairs


def _about(candidate: Candidate, standing: Standing, **facts: object) -> Advice:
    """A line of advice; the template has a macro for each standing."""
    name = "first" if standing in CHOSEN else "candidate"
    text = write("advice", standing.value, **{name: candidate}, **facts)
    return Advice(rank=0, condition=candidate.name, text=text, standing=standing)
