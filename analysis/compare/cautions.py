"""What a reader must know before trusting a comparison."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from analysis.compare.conditions import OF_THE_CHOICE, OF_THE_TASK, without
from analysis.findings import Condition, Contrast, RunFindings

FEW = 5
"""Seeds below which intervals are too narrow."""
NAMED = 4
"""Arms that a caution names."""


def cautions(
    arms: Sequence[Condition],
    runs: Sequence[RunFindings],
    contrasts: Sequence[Contrast],
    *,
    tasks: int,
) -> tuple[str, ...]:
    """One sentence or two for everything that weakens the comparison, the gravest first.

    Args:
        arms: all arms.
        runs: all runs.
        contrasts: those of the report.
        tasks: groups of arms whose accuracies can be compared.
    """
    found = [
        _tasks(tasks),
        _unfinished(runs),
        _survivors(runs),
        _unmeasured(runs),
        _few_seeds(arms),
        _tests(contrasts),
        _settings(arms),
        _steps(runs),
        _repeated(arms),
        _unjudged(runs),
        _oracles(arms),
    ]
    return tuple(sentence for sentence in found if sentence)


def _tasks(tasks: int) -> str:
    if tasks < 2:
        return ""
    return (
        f"The runs are on {tasks} different tasks or models; accuracies of one are not comparable "
        "with those of another, so that each has its own advice."
    )


def _unfinished(runs: Sequence[RunFindings]) -> str:
    states = Counter(run.state for run in runs if not run.finished)
    if not states:
        return ""
    told = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    return (
        f"{sum(states.values())} of {len(runs)} runs are not finished ({told}) and left out of "
        "accuracies and labels."
    )


def _survivors(runs: Sequence[RunFindings]) -> str:
    lost = Counter(run.arm for run in runs if not run.finished and run.verdict.collapsed)
    if not lost:
        return ""
    words = f"Runs that collapsed are among the unfinished ones ({_named(lost)})"
    finished = {run.arm for run in runs if run.finished}
    if finished.isdisjoint(lost):
        return f"{words}: these arms have no accuracy."
    return f"{words}: an accuracy of such an arm is of the survivors and too high."


def _unmeasured(runs: Sequence[RunFindings]) -> str:
    bare = [run for run in runs if run.finished and run.spending.accuracy_end is None]
    if not bare:
        return ""
    noun = "run" if len(bare) == 1 else "runs"
    return f"{len(bare)} {noun} finished without a held-out accuracy: left out of accuracies."


def _few_seeds(arms: Sequence[Condition]) -> str:
    counts = {arm.name: arm.accuracy.count for arm in arms if arm.accuracy}
    single = [name for name, count in counts.items() if count == 1]
    few = [name for name, count in counts.items() if 1 < count < FEW]
    told = []
    if single:
        told.append(
            f"One seed only: {_named(single)}. Nothing tells what another seed would have done."
        )
    if few:
        told.append(
            f"Fewer than {FEW} seeds: {_named(few)}. With 2 or 3 the intervals reach from the "
            "worst to the best seed and are too narrow to be 95% ones."
        )
    return " ".join(told)


def _tests(contrasts: Sequence[Contrast]) -> str:
    limit = max((c.p_smallest for c in contrasts if c.p_smallest is not None), default=0.0)
    if limit < 0.05:
        return ""
    return (
        f"With so few seeds the permutation test's p cannot be below {limit:.3g}, so a difference "
        "is called sure by the t test (p < 0.05 after Holm's correction over "
        f"{sum(c.p_t is not None for c in contrasts)} tests; accuracies taken as normal over "
        "seeds) where the permutation test is as clear as it can be."
    )


def _settings(arms: Sequence[Condition]) -> str:
    """Arms that differ in more than policy and budget: the difference may not be the policy's."""
    found = [without(arm.settings, (*OF_THE_CHOICE, *OF_THE_TASK)) for arm in arms]
    keys = {key for settings in found for key in settings}
    differing = sorted(key for key in keys if len({s.get(key) for s in found}) > 1)
    if not differing:
        return ""
    return (
        f"Arms differ in more than policy and budget ({_named(differing)}): a difference between "
        "them may come from there."
    )


def _steps(runs: Sequence[RunFindings]) -> str:
    steps = sorted({run.steps for run in runs if run.finished})
    if len(steps) < 2:
        return ""
    return (
        f"Finished runs have between {steps[0]} and {steps[-1]} steps: longer ones had more "
        "training and more labels."
    )


def _repeated(arms: Sequence[Condition]) -> str:
    twice = [
        arm.name
        for arm in arms
        if max(Counter(s for s in arm.seeds if s is not None).values(), default=0) > 1
    ]
    if not twice:
        return ""
    return f"Runs with the same seed and settings ({_named(twice)}) were averaged: one seed each."


def _unjudged(runs: Sequence[RunFindings]) -> str:
    unknown = Counter(run.arm for run in runs if run.finished and run.verdict.collapsed is None)
    if not unknown:
        return ""
    return f"Whether runs of {_named(unknown)} collapsed cannot be told from their record."


def _oracles(arms: Sequence[Condition]) -> str:
    oracles = [arm.name for arm in arms if arm.uses_oracle]
    if not oracles:
        return ""
    return f"{_named(oracles)} read labels that nobody bought: bounds for research, no choice."


def _named(names: Mapping[str, int] | Sequence[str]) -> str:
    listed = list(names)
    more = len(listed) - NAMED
    return ", ".join(listed[:NAMED]) + (f" and {more} more" if more > 0 else "")
