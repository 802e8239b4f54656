"""Sentences about arms: how one did, beside others, and what to try next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.findings import Condition, Contrast, Interval

CEILING = "full"
"""The policy that buys every label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """One arm with what is needed to speak of it."""

    arm: Condition
    start: float
    """Mean held-out accuracy before training."""
    onset: int | None
    """Median step at which its runs collapsed."""

    @property
    def accuracy(self) -> Interval:
        """Of arms with an outcome only."""
        assert self.arm.accuracy is not None
        return self.arm.accuracy

    @property
    def gain(self) -> float:
        """Held-out accuracy won by training."""
        return self.accuracy.mean - self.start

    @property
    def labels(self) -> float:
        """Mean labels bought."""
        return self.arm.labels.mean if self.arm.labels else 0.0


def why(first: Wording, ceiling: Wording) -> str:
    """Why an arm is to be used, and what it costs relative to all labels."""
    return f"Use {first.arm.name} next: {_outcome(first)}{_beside(first, ceiling)}."


def _outcome(line: Wording) -> str:
    return (
        f"held-out accuracy {_with_bounds(line.accuracy)} ({line.start:.3f} before training) with "
        f"{_count(line.labels)}"
    )


def _with_bounds(found: Interval) -> str:
    if found.count == 1:
        return f"{found.mean:.3f} (one seed)"
    return f"{found.mean:.3f} [{found.low:.3f}, {found.high:.3f}] over {found.count} seeds"


def _count(labels: float) -> str:
    return f"{labels:,.0f} labels"


def _beside(line: Wording, ceiling: Wording) -> str:
    """What it costs and gains relative to the arm with all labels, or else the best one."""
    if line is ceiling:
        return ""
    gained = f", {line.gain / ceiling.gain:.0%} of what {ceiling.arm.name} gains"
    if not ceiling.labels:
        return gained
    return f"{gained}, for {line.labels / ceiling.labels:.0%} of its labels"


def evidence(first: Wording, usable: Sequence[Wording], contrasts: Sequence[Contrast]) -> str:
    """How sure its lead is over the next best policy with the same budget."""
    if first.accuracy.count == 1:
        return "One seed is thin evidence: repeat it with more before you rely on it."
    rivals = {
        line.arm.name
        for line in usable
        if line.arm.budget == first.arm.budget and line.arm.policy != first.arm.policy
    }
    leads = [c for c in contrasts if c.better == first.arm.name and c.worse in rivals]
    if not leads:
        return ""
    lead = min(leads, key=lambda contrast: contrast.difference.mean)
    found = lead.difference
    held = f" on {lead.agreeing} of {found.count} seeds" if lead.paired else ""
    return (
        f"It leads {lead.worse}, the next best policy with this budget, by {found.mean:.3f} "
        f"[{found.low:.3f}, {found.high:.3f}]{held}; that is {'' if lead.sure else 'not '}sure."
    )


def next_step(first: Wording, usable: Sequence[Wording]) -> str:
    """The experiment that the table lacks: the next smaller budget of the same policy."""
    budget = first.arm.budget
    if not budget:
        return ""
    smaller = [
        line
        for line in usable
        if line.arm.policy == first.arm.policy and (line.arm.budget or 0.0) < budget
    ]
    fallen = [line.arm.name for line in smaller if line.arm.collapsed]
    if fallen:
        return f"With fewer labels, {_listed(fallen)} collapsed."
    if smaller:
        return ""
    cheaper = [line for line in usable if line.labels < first.labels]
    if first.arm.policy == CEILING and not cheaper:
        return "No policy that buys fewer labels was tried: one with budget=0.1 is worth a run."
    if first.arm.policy == CEILING:
        return (
            "No policy that buys fewer labels keeps 90% of its gain: try others, or larger budgets."
        )
    return f"No smaller budget of it was tried: budget={budget / 2:g} is worth a run."


def option(line: Wording, first: Wording, contrasts: Sequence[Contrast]) -> str:
    """When to take another arm than the recommended one."""
    cheaper = line.labels < first.labels
    purpose = "Where labels are scarcer" if cheaper else "Where accuracy is all that counts"
    share = f", {line.gain / first.gain:.0%} of its gain" if cheaper else ""
    times = f" for {line.labels / first.labels:.2g} times the labels" if first.labels else ""
    change = line.accuracy.mean - first.accuracy.mean
    words = f"{purpose}: {line.arm.name}, {_outcome(line)}; {change:+.3f}{share}{times}."
    pair = {line.arm.name, first.arm.name}
    found = next((c for c in contrasts if {c.better, c.worse} == pair), None)
    if found is not None and not found.sure:
        words += f" The difference to {first.arm.name} is not sure."
    return words


def beaten(line: Wording, better: Wording) -> str:
    """Why an arm is no choice although it learns."""
    labels = "as many" if better.labels == line.labels else "fewer"
    return (
        f"{line.arm.name} is beaten with {labels} labels: {_outcome(line)}, against "
        f"{better.accuracy.mean:.3f} of {better.arm.name} with {_count(better.labels)}."
    )


def why_not(line: Wording) -> str:
    """What went wrong under an arm."""
    arm = line.arm
    if not arm.collapsed:
        return f"Avoid {arm.name}: it learnt nothing, {_outcome(line)}."
    since = f" (median onset: step {line.onset})" if line.onset is not None else ""
    ended = f"; {_outcome(line)}" if arm.accuracy else "; none of its runs is finished"
    return f"Avoid {arm.name}: {arm.collapsed} of {arm.judged} runs collapsed{since}{ended}."


def bound(line: Wording) -> str:
    """What an arm stands for that no user can have."""
    return (
        f"{line.arm.name} reads labels that nobody bought and is no choice, but shows what is "
        f"possible: {_outcome(line)}."
    )


def nothing(usable: Sequence[Wording]) -> str:
    """Why there is no recommendation, and the way out."""
    if not usable:
        return "Nothing can be recommended yet: no run has finished with a held-out accuracy."
    most = max(usable, key=lambda line: line.labels)
    way = (
        "look at the model, the data and the learning rate"
        if most.arm.policy == CEILING
        else f"buy more labels than {most.arm.name}, or see with acquisition={CEILING} what all "
        "of them would bring"
    )
    return f"No arm can be recommended: each collapsed on a seed or learnt nothing; {way}."


def in_short(
    first: Wording, ceiling: Wording, usable: Sequence[Wording], others: Sequence[Wording]
) -> str:
    """The recommendation in two or three sentences."""
    words = [
        f"Use {first.arm.name} next: held-out accuracy {first.accuracy.mean:.3f} with "
        f"{_count(first.labels)}{_beside(first, ceiling)}."
    ]
    cheapest = min(others, key=lambda line: line.labels, default=first)
    if cheapest.labels < first.labels:
        words.append(
            f"{cheapest.arm.name} gets to {cheapest.accuracy.mean:.3f} with "
            f"{_count(cheapest.labels)}."
        )
    fallen = [line.arm.name for line in usable if line.arm.collapsed]
    if fallen:
        words.append(f"Runs collapsed under {_listed(fallen)}.")
    return " ".join(words)


def _listed(found: Sequence[str], most: int = 6) -> str:
    """`a, b and c`, or `a, b ... and 3 more`."""
    if len(found) > most:
        return f"{', '.join(found[:most])} and {len(found) - most} more"
    return " and ".join(filter(None, [", ".join(found[:-1]), found[-1]]))
