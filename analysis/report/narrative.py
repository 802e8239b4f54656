"""What happened, told arm by arm and in one headline."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from analysis.findings import CollapseKind, Findings, RunFindings, Sign
from analysis.report.numbers import counted, listed, number, outcome, steps_ahead
from analysis.report.terms import KINDS, title


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalStory:
    """One signal over the collapsed runs of an arm."""

    signal: str
    title: str
    label_free: bool
    runs: int
    """Collapsed runs in which it changed."""
    before: float | None
    """Median over these runs."""
    after: float | None
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmStory:
    """What happened to an arm with collapsed runs."""

    arm: str
    runs: tuple[RunFindings, ...]
    """The collapsed ones."""
    judged: int
    when: str
    kinds: str
    foretold: str
    signals: tuple[SignalStory, ...]


def stories(findings: Findings) -> tuple[ArmStory, ...]:
    """Every arm with a collapsed run, the largest collapsed share first."""
    by_arm: dict[str, list[RunFindings]] = {}
    for run in findings.runs:
        by_arm.setdefault(run.arm, []).append(run)
    made = [_story(arm, runs) for arm, runs in by_arm.items() if any(_fell(r) for r in runs)]
    return tuple(sorted(made, key=lambda s: (-len(s.runs) / s.judged, -s.judged, s.arm)))


def _fell(run: RunFindings) -> bool:
    return run.verdict.collapsed is True


def _story(arm: str, runs: Sequence[RunFindings]) -> ArmStory:
    fallen = tuple(run for run in runs if _fell(run))
    kinds = Counter(run.verdict.kind or CollapseKind.other for run in fallen)
    many = len(fallen) > 1
    return ArmStory(
        arm=arm,
        runs=fallen,
        judged=sum(run.verdict.collapsed is not None for run in runs),
        when=when(fallen),
        kinds="; ".join(
            f"{KINDS[kind][0]}{f' ({count} of {len(fallen)})' if many else ''}: {KINDS[kind][1]}"
            for kind, count in kinds.most_common()
        ),
        foretold=foretold(fallen),
        signals=_signals(fallen),
    )


def when(fallen: Sequence[RunFindings]) -> str:
    """`from step 38`, or `from step 27 to 63, median 45`."""
    onsets = sorted(run.verdict.onset for run in fallen if run.verdict.onset is not None)
    if not onsets:
        return "at a step that cannot be told"
    if onsets[0] == onsets[-1]:
        return f"from step {onsets[0]}"
    return f"from step {onsets[0]} to {onsets[-1]}, median {statistics.median(onsets):.0f}"


def foretold(fallen: Sequence[RunFindings]) -> str:
    """What label-free signals and the early warning knew about collapsed runs, in a sentence."""
    leads = [run.verdict.lead for run in fallen if run.verdict.lead is not None]
    warned = [run.verdict.warned for run in fallen if run.verdict.warned is not None]
    ahead = steps_ahead(statistics.median(leads)) if leads else ""
    if len(fallen) == 1:
        told = f"Label-free signals alone told {ahead}." if leads else "No label-free signal told."
        own = f"came at step {warned[0]}" if warned else "never came"
        return f"{told} The run's own early warning {own}."
    early = sum(lead > 0 for lead in leads)
    told = f"Label-free signals alone told in {len(leads)} of {len(fallen)} runs"
    told += f", {early or 'none'} of them before the onset; median {ahead}." if leads else "."
    return f"{told} The runs' own early warning came in {len(warned)} of {len(fallen)}."


def _signals(fallen: Sequence[RunFindings]) -> tuple[SignalStory, ...]:
    ranks: dict[str, list[int]] = {}
    found: dict[str, list[tuple[RunFindings, Sign]]] = {}
    for run in fallen:
        changed = [sign for sign in run.verdict.signs if sign.step is not None]
        for rank, sign in enumerate(changed):
            ranks.setdefault(sign.signal, []).append(rank)
            found.setdefault(sign.signal, []).append((run, sign))
    order = sorted(ranks, key=lambda name: (-len(ranks[name]), statistics.mean(ranks[name]), name))
    return tuple(_signal(name, found[name], len(fallen)) for name in order)


def _signal(name: str, found: Sequence[tuple[RunFindings, Sign]], of: int) -> SignalStory:
    before = _median([sign.before for _, sign in found])
    after = _median([sign.after for _, sign in found])
    gaps = [
        float(run.verdict.onset - sign.step)
        for run, sign in found
        if run.verdict.onset is not None and sign.step is not None
    ]
    change = "" if before is None or after is None else f"{number(before, 2)} → {number(after, 2)}"
    where = f"{'about ' if of > 1 else ''}{steps_ahead(_median(gaps))}" if gaps else ""
    runs = f"in {len(found)} of {of} runs" if of > 1 else ""
    return SignalStory(
        signal=name,
        title=title(name),
        label_free=found[0][1].label_free,
        runs=len(found),
        before=before,
        after=after,
        words=", ".join(part for part in (change, where, runs) if part),
    )


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """What a reader must know, in a few sentences."""

    verdict: str
    """`14 of 37 runs collapsed.`"""
    detail: str
    """Which arms."""
    aside: str
    """Runs that are not judged."""
    best: str
    next: tuple[str, ...]


def headline(findings: Findings) -> Headline:
    """The first thing on the page."""
    counts = Counter(outcome(run) for run in findings.runs)
    judged = counts["collapsed"] + counts["healthy"]
    told = stories(findings)
    comparison = findings.comparison
    best = next((a for a in comparison.arms if a.accuracy and not a.uses_oracle), None)
    return Headline(
        verdict=_verdict(len(findings.runs), counts, judged),
        detail=_detail(told, judged),
        aside=_aside(counts),
        best=""
        if best is None or best.accuracy is None
        else f"{best.name}: {number(best.accuracy.mean)} held-out accuracy"
        + (f" for {counted(round(best.labels.mean), 'label')}" if best.labels else "")
        + f"; {best.collapsed} of {counted(best.judged, 'run')} collapsed.",
        next=_next(findings),
    )


def _verdict(runs: int, counts: Counter[str], judged: int) -> str:
    if not runs:
        return "No runs were found."
    if not judged:
        return f"Nothing can be told yet of {counted(runs, 'run')}."
    if not counts["collapsed"]:
        return "The run is healthy." if judged == 1 else f"None of {judged} runs collapsed."
    if judged == 1:
        return "The run collapsed."
    return f"{counts['collapsed']} of {judged} runs collapsed."


def _detail(told: Sequence[ArmStory], judged: int) -> str:
    if judged == 1:
        return "".join(f"{story.arm}, {story.when}: {story.kinds}." for story in told)
    whole = [s.arm for s in told if len(s.runs) == s.judged]
    partly = [f"{s.arm} ({len(s.runs)} of {s.judged})" for s in told if len(s.runs) < s.judged]
    parts = [f"Every run of: {listed(whole)}."] if whole else []
    parts += [f"Some runs of: {listed(partly)}."] if partly else []
    return " ".join(parts)


def _aside(counts: Counter[str]) -> str:
    parts = []
    if counts["unknown"]:
        parts.append(f"Cannot be judged (yet): {counted(counts['unknown'], 'run')}.")
    if counts["planned"]:
        parts.append(f"Not started: {counted(counts['planned'], 'run')}.")
    return " ".join(parts)


def _next(findings: Findings) -> tuple[str, ...]:
    comparison = findings.comparison
    if comparison.words:
        return (comparison.words,)
    if comparison.advice:
        return tuple(f"{line.arm}: {line.words}" for line in comparison.advice[:2])
    if not findings.runs:
        return ("Give a folder that holds runs: rlavr report runs/NAME",)
    if not any(run.curves for run in findings.runs):
        return ("Start the runs, then make this report again.",)
    return ()
