"""The recommendation in words: which policy at which budget to use next, and what to leave."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from statistics import mean, median

from analysis.compare.describe import (
    CEILING,
    Wording,
    beaten,
    bound,
    evidence,
    in_short,
    next_step,
    nothing,
    option,
    why,
    why_not,
)
from analysis.findings import Advice, Condition, Contrast, RunFindings, Standing

ENOUGH = 0.9
"""Share of the best arm's gain that the recommended one must have: it is the one with the fewest
labels that has it."""
OPTIONS, AVOIDED = 4, 8
"""Lines on each, per task."""


def advise(
    tasks: Mapping[str, Sequence[Condition]],
    runs: Mapping[str, RunFindings],
    contrasts: Sequence[Contrast],
    efficient: Collection[str],
) -> tuple[tuple[Advice, ...], str]:
    """Ranked advice, and its sum in a few sentences.

    An arm is recommended only if it reads no labels that nobody bought, none of its runs
    collapsed, and training raised its accuracy.

    Args:
        tasks: arms that can be compared, best first, by what they have in common ("" = all).
        runs: by name.
        contrasts: of the report.
        efficient: names of the arms on the frontier of accuracy against labels.
    """
    advice: list[Advice] = []
    said: list[str] = []
    for task, arms in tasks.items():
        lines = [_line(arm, runs) for arm in arms if arm.accuracy or arm.collapsed]
        found, words = _advise(lines, contrasts, efficient)
        place = f"[{task}] " if task and len(tasks) > 1 else ""
        advice += [replace(one, words=place + one.words) for one in found]
        said.append(place + words)
    ranked = tuple(replace(one, rank=rank) for rank, one in enumerate(advice, start=1))
    return ranked, " ".join(said) or "There are no runs to compare."


def _line(arm: Condition, runs: Mapping[str, RunFindings]) -> Wording:
    own = [runs[name] for name in arm.runs]
    starts = [
        run.spending.accuracy_start
        for run in own
        if run.finished and run.spending.accuracy_start is not None
    ]
    onsets = [
        run.verdict.onset for run in own if run.verdict.collapsed and run.verdict.onset is not None
    ]
    return Wording(
        arm=arm,
        start=mean(starts) if starts else 0.0,
        onset=round(median(onsets)) if onsets else None,
    )


def _advise(
    lines: Sequence[Wording], contrasts: Sequence[Contrast], efficient: Collection[str]
) -> tuple[list[Advice], str]:
    """The advice on one task."""
    usable = [line for line in lines if not line.arm.uses_oracle]
    sound = [line for line in usable if not line.arm.collapsed and line.gain > 0]
    bounds = [line for line in lines if line.arm.uses_oracle and line.arm.accuracy]
    last = [*_avoided(usable), *(_about(x, Standing.bound, bound(x)) for x in bounds[:1])]
    if not sound:
        return last, nothing(usable)
    best = max(sound, key=lambda line: line.gain)
    enough = [line for line in sound if line.gain >= ENOUGH * best.gain]
    first = min(enough, key=lambda line: (line.labels, -line.accuracy.mean))
    ceiling = next((line for line in sound if line.arm.policy == CEILING), best)
    others = [line for line in sound if line is not first and line.arm.name in efficient]
    use = " ".join(
        [why(first, ceiling), evidence(first, usable, contrasts), next_step(first, usable)]
    )
    advice = [
        _about(first, Standing.use, " ".join(use.split())),
        *(_about(x, Standing.option, option(x, first, contrasts)) for x in others[:OPTIONS]),
        *(_about(x, Standing.beaten, beaten(x, y)) for x, y in _pairs_beaten(sound)[:OPTIONS]),
    ]
    return [*advice, *last], in_short(first, ceiling, usable, others)


def _avoided(usable: Sequence[Wording]) -> list[Advice]:
    bad = [line for line in usable if line.arm.collapsed or line.gain <= 0]
    advice = [_about(line, Standing.avoid, why_not(line)) for line in bad[:AVOIDED]]
    more = len(bad) - AVOIDED
    if more > 0:
        words = f"{advice[-1].words} {more} more {'arm' if more == 1 else 'arms'} fared no better."
        advice[-1] = replace(advice[-1], words=words)
    return advice


def _pairs_beaten(sound: Sequence[Wording]) -> list[tuple[Wording, Wording]]:
    """Arms with the one that beats them with the fewest labels."""
    pairs = []
    for line in sound:
        better = [
            other
            for other in sound
            if other.accuracy.mean > line.accuracy.mean and other.labels <= line.labels
        ]
        if better:
            pairs.append((line, min(better, key=lambda other: other.labels)))
    return pairs


def _about(line: Wording, standing: Standing, words: str) -> Advice:
    return Advice(rank=0, arm=line.arm.name, words=words, standing=standing)
