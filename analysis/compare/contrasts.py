"""Policies and budgets over seeds: conditions, contrasts between them, and what to use next."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise

from analysis.compare.advice import advise
from analysis.compare.cautions import cautions
from analysis.compare.conditions import OF_THE_CHOICE, OF_THE_TASK, without
from analysis.compare.resampling import (
    FEWEST_SEEDS,
    DifferenceTest,
    holm,
    interval,
    paired,
    seeds_to_settle,
    unpaired,
)
from analysis.run_findings import RunFindings
from analysis.study_findings import Comparison, Condition, Contrast, Interval

CONTRASTS = 60
"""At most, over all tasks: every further one costs the others power."""
ALPHA = 0.05
SLACK = 1e-9
"""For rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionGroup:
    """A condition with the runs it is made of."""

    condition: Condition
    runs: tuple[RunFindings, ...]
    ends: Mapping[int | str, float]
    """Final accuracy by seed; runs with the same seed are averaged."""

    @property
    def task(self) -> tuple[str, ...]:
        """Within which accuracies can be compared."""
        other = without(self.condition.settings, OF_THE_TASK)
        return tuple(f"{k}={v}" for k, v in self.condition.settings.items() if k not in other)

    @property
    def beside(self) -> dict[str, str]:
        """Settings apart from policy and budget."""
        return without(self.condition.settings, OF_THE_CHOICE)

    @property
    def accuracy(self) -> float:
        """Mean over seeds; below every accuracy when there is none."""
        return self.condition.accuracy.mean if self.condition.accuracy else -math.inf


def compare(runs: Sequence[RunFindings], *, target: float | None = None) -> Comparison:
    """Compare conditions by the held-out accuracy of their finished runs.

    Args:
        runs: of any number of studies; conditions on the same data and model are compared.
        target: the accuracy that the runs' `labels_to_target` refers to.
    """
    groups = sorted(_groups(runs), key=lambda group: (-group.accuracy, group.condition.name))
    tasks: dict[tuple[str, ...], list[ConditionGroup]] = {}
    for group in groups:
        tasks.setdefault(group.task, []).append(group)
    efficient = {name for task in tasks.values() for name in _frontier(task)}
    groups = [_with_frontier(group, group.condition.name in efficient) for group in groups]
    contrasts = _contrasts(list(tasks.values()))
    conditions = tuple(group.condition for group in groups)
    advice, recommendation = advise(
        {" ".join(task): [group.condition for group in found] for task, found in tasks.items()},
        {run.name: run for run in runs},
        contrasts,
        efficient,
    )
    return Comparison(
        conditions=conditions,
        contrasts=contrasts,
        advice=advice,
        target=target,
        recommendation=recommendation,
        cautions=cautions(conditions, runs, contrasts, tasks=len(tasks)),
    )


def _groups(runs: Iterable[RunFindings]) -> list[ConditionGroup]:
    by_condition: dict[str, list[RunFindings]] = {}
    for run in runs:
        by_condition.setdefault(run.condition, []).append(run)
    return [_group(name, found) for name, found in by_condition.items()]


def _group(name: str, runs: Sequence[RunFindings]) -> ConditionGroup:
    finished = [run for run in runs if run.finished]
    ends = _by_seed(finished, {run.name: run.spending.accuracy_end for run in finished})
    labels = _by_seed(finished, {run.name: float(run.spending.labels) for run in finished})
    area = _by_seed(finished, {run.name: run.spending.area for run in finished})
    start = _by_seed(finished, {run.name: run.spending.accuracy_start for run in finished})
    first = runs[0]
    condition = Condition(
        name=name,
        policy=first.policy,
        budget=first.budget,
        settings=first.settings,
        runs=tuple(run.name for run in runs),
        seeds=tuple(run.seed for run in runs),
        finished=len(finished),
        collapsed=sum(run.verdict.collapsed is True for run in runs),
        judged=sum(run.verdict.collapsed is not None for run in runs),
        labels=_interval(labels),
        accuracy=_interval(ends),
        area=_interval(area),
        uses_oracle=any(run.uses_oracle for run in runs),
        on_frontier=False,
        start=_interval(start),
    )
    return ConditionGroup(condition=condition, runs=tuple(runs), ends=ends)


def _by_seed(
    runs: Iterable[RunFindings], values: Mapping[str, float | None]
) -> dict[int | str, float]:
    """Means over the runs of each seed, so that a run done twice does not pass for two seeds."""
    found: dict[int | str, list[float]] = {}
    for run in runs:
        value = values[run.name]
        if value is not None and math.isfinite(value):
            found.setdefault(run.name if run.seed is None else run.seed, []).append(value)
    return {seed: sum(known) / len(known) for seed, known in found.items()}


def _interval(by_seed: Mapping[int | str, float]) -> Interval | None:
    return interval(list(by_seed.values())) if by_seed else None


def _with_frontier(group: ConditionGroup, on_frontier: bool) -> ConditionGroup:
    return replace(group, condition=replace(group.condition, on_frontier=on_frontier))


def _frontier(groups: Sequence[ConditionGroup]) -> list[str]:
    """Conditions, best first, that no other one without oracle matches with fewer labels."""
    best: list[str] = []
    fewest = math.inf
    for group in sorted(groups, key=lambda group: (-group.accuracy, _labels(group))):
        if group.ends and not group.condition.uses_oracle and _labels(group) < fewest:
            fewest = _labels(group)
            best.append(group.condition.name)
    return best


def _labels(group: ConditionGroup) -> float:
    return group.condition.labels.mean if group.condition.labels else math.inf


def _contrasts(tasks: Sequence[Sequence[ConditionGroup]]) -> tuple[Contrast, ...]:
    """Each condition against the best and the next best, and the policies of one budget."""
    each = max(1, CONTRASTS // max(1, len(tasks)))
    pairs = [pair for task in tasks for pair in _pairs(task)[:each]][:CONTRASTS]
    found = [_contrast(one, other) for one, other in pairs]
    adjusted = holm([contrast.p_t for contrast in found])
    return tuple(
        replace(contrast, p_adjusted=p, significant=_is_significant(contrast, p))
        for contrast, p in zip(found, adjusted, strict=True)
    )


def _pairs(groups: Sequence[ConditionGroup]) -> list[tuple[ConditionGroup, ConditionGroup]]:
    """Pairs of conditions, in turn of each kind; an oracle only against the best."""
    known = [group for group in groups if group.ends]
    usable = [group for group in known if not group.condition.uses_oracle]
    same_budget = [
        (better, worse)
        for better, worse in combinations(usable, 2)
        if better.condition.budget == worse.condition.budget
        and better.condition.policy != worse.condition.policy
        and better.beside == worse.beside
    ]
    against_best = [
        (usable[0], group) if usable[0].accuracy >= group.accuracy else (group, usable[0])
        for group in known
        if usable and group is not usable[0]
    ]
    turns = [list(pairwise(usable)), against_best, same_budget]
    longest = max(len(pairs) for pairs in turns)
    mixed = [pairs[turn] for turn in range(longest) for pairs in turns if turn < len(pairs)]
    return list({(a.condition.name, b.condition.name): (a, b) for a, b in mixed}.values())


def _contrast(one: ConditionGroup, other: ConditionGroup) -> Contrast:
    """Paired over common seeds, unless these are fewer than three while other runs are left out."""
    common = sorted(one.ends.keys() & other.ends.keys(), key=str)
    all_common = len(common) == min(len(one.ends), len(other.ends))
    is_paired = len(common) >= FEWEST_SEEDS or (len(common) > 0 and all_common)
    if is_paired:
        tested = paired([one.ends[s] for s in common], [other.ends[s] for s in common])
    else:
        tested = unpaired(list(one.ends.values()), list(other.ends.values()))
    if tested.difference.mean < 0:  # of the common seeds, while the mean of all says otherwise
        return _contrast(other, one)
    return Contrast(
        better=one.condition.name,
        worse=other.condition.name,
        difference=tested.difference,
        paired=is_paired,
        p_value=tested.p_value,
        p_smallest=tested.p_smallest,
        p_t=tested.p_t,
        agreeing=tested.agreeing,
        seeds_needed=_seeds_needed(tested),
    )


def _seeds_needed(tested: DifferenceTest) -> int | None:
    if tested.spread is None:
        return None
    return seeds_to_settle(tested.difference.mean, tested.spread)


def _is_significant(contrast: Contrast, p_adjusted: float | None) -> bool:
    if p_adjusted is None or contrast.p_value is None or contrast.p_smallest is None:
        return False
    no_objection = contrast.p_value <= max(ALPHA, contrast.p_smallest * (1 + SLACK))
    return contrast.difference.count >= FEWEST_SEEDS and p_adjusted < ALPHA and no_objection
