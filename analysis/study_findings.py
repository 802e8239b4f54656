"""What the analysis finds out over all runs of a study: conditions, contrasts, advice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from analysis.load.run import Problem
from analysis.run_findings import RunFindings


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean with its 95% bootstrap interval over seeds."""

    mean: float
    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Runs that differ only by seed."""

    name: str
    """As short as the study allows: `care budget=0.1`."""
    policy: str
    budget: float | None
    settings: Mapping[str, str]
    runs: tuple[str, ...]
    seeds: tuple[int | None, ...]
    finished: int
    """Runs that reached their planned steps."""
    collapsed: int
    judged: int
    """Runs for which it can be said whether they collapsed."""
    labels: Interval | None
    accuracy: Interval | None
    """Held-out accuracy at the end."""
    area: Interval | None
    uses_oracle: bool
    on_frontier: bool
    """On the Pareto frontier: no other condition without an oracle has more accuracy for as many
    labels or fewer."""
    start: Interval | None = None
    """Held-out accuracy of the untrained model, at step 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """Two conditions compared."""

    better: str
    worse: str
    difference: Interval
    """Of held-out accuracy at the end, over common seeds where paired."""
    paired: bool
    p_value: float | None
    """Of a sign-flip permutation test (paired) or a permutation test; None with too few runs to be
    able to say anything."""
    p_smallest: float | None = None
    """The smallest that `p_value` can be with so many runs: 2 / 2^n of n pairs."""
    p_t: float | None = None
    """Of the paired t test (unpaired: Welch's), which takes accuracies as normal over seeds."""
    p_adjusted: float | None = None
    """`p_t` with Holm's correction over all contrasts of the report."""
    significant: bool = False
    """`p_adjusted` < 0.05, and the permutation test, which assumes no distribution, agrees:
    `p_value` < 0.05 or as small as it can be; at least three runs of each condition."""
    seeds_needed: int | None = None
    """Seeds that would settle a difference of this size; None = the spread is not known."""
    agreeing: int = 0
    """Common seeds on which `better` is better; 0 where unpaired."""


class Standing(StrEnum):
    """What the advice says of a condition."""

    recommended = "recommended"
    """The one to use next."""
    undecided = "undecided"
    """Would be the one to use next, but its lead over another policy may be chance, or there is
    nothing to compare it with."""
    alternative = "alternative"
    """Takes fewer labels, or reaches more accuracy."""
    dominated = "dominated"
    """Learns, but another condition has more accuracy for as many labels or fewer."""
    avoid = "avoid"
    """Collapsed on a seed."""
    no_gain = "no_gain"
    """Did not collapse, and ended no better than it began."""
    upper_bound = "upper_bound"
    """Reads labels nobody bought: shows what is possible."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """One line of the recommendation."""

    rank: int
    condition: str
    text: str
    standing: Standing = Standing.alternative


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Policies and budgets over seeds."""

    conditions: tuple[Condition, ...] = ()
    """Best first."""
    contrasts: tuple[Contrast, ...] = ()
    advice: tuple[Advice, ...] = ()
    target: float | None = None
    """The accuracy that `labels_to_target` refers to."""
    recommendation: str = ""
    """In two or three sentences."""
    cautions: tuple[str, ...] = ()
    """What weakens the comparison: one seed, unfinished runs, ...."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """The whole report."""

    title: str
    sources: tuple[str, ...]
    """The folders that were searched."""
    runs: tuple[RunFindings, ...]
    comparison: Comparison
    problems: tuple[Problem, ...]
    """Of folders that hold no usable run; a run's own are in its findings."""
    made: str
    """When, ISO 8601 with time zone."""
    version: str
