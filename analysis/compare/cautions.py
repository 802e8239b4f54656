"""What a reader must know before trusting a comparison.

Here are the facts; the sentences are in `analysis/text/cautions.j2`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from analysis.compare.conditions import OF_THE_CHOICE, OF_THE_TASK, without
from analysis.run_findings import RunFindings
from analysis.study_findings import Condition, Contrast
from analysis.text.templates import write_lines

ENOUGH = 5
"""Seeds below which intervals are too narrow."""
Facts = dict[str, Any]


def cautions(
    conditions: Sequence[Condition],
    runs: Sequence[RunFindings],
    contrasts: Sequence[Contrast],
    *,
    tasks: int,
) -> tuple[str, ...]:
    """A sentence or two for everything that weakens the comparison, the gravest first.

    Args:
        conditions: all of the study.
        runs: all of the study.
        contrasts: those of the report.
        tasks: groups of conditions whose accuracies can be compared.
    """
    return write_lines(
        "cautions",
        tasks=tasks,
        **_of_runs(runs),
        **_of_conditions(conditions),
        p_smallest=max((c.p_smallest for c in contrasts if c.p_smallest is not None), default=0.0),
        tests=sum(contrast.p_t is not None for contrast in contrasts),
    )


def _of_runs(runs: Sequence[RunFindings]) -> Facts:
    finished = [run for run in runs if run.finished]
    unfinished = [run for run in runs if not run.finished]
    lost = _unique(run.condition for run in unfinished if run.verdict.collapsed)
    return {
        "runs": len(runs),
        "unfinished": Counter(run.state for run in unfinished),
        "lost": lost,
        "survivors": any(run.condition in lost for run in finished),
        "unmeasured": sum(run.spending.accuracy_end is None for run in finished),
        "steps": sorted({run.steps for run in finished}),
        "unjudged": _unique(run.condition for run in finished if run.verdict.collapsed is None),
    }


def _of_conditions(conditions: Sequence[Condition]) -> Facts:
    seeds = {one.name: one.accuracy.count for one in conditions if one.accuracy}
    return {
        "single": [name for name, count in seeds.items() if count == 1],
        "few": [name for name, count in seeds.items() if 1 < count < ENOUGH],
        "enough": ENOUGH,
        "differing": _differing(conditions),
        "repeated": [one.name for one in conditions if _has_a_seed_twice(one)],
        "oracles": [one.name for one in conditions if one.uses_oracle],
    }


def _differing(conditions: Sequence[Condition]) -> list[str]:
    """Settings beside policy and budget that differ: a difference may come from them."""
    found = [without(one.settings, (*OF_THE_CHOICE, *OF_THE_TASK)) for one in conditions]
    keys = {key for settings in found for key in settings}
    return sorted(key for key in keys if len({settings.get(key) for settings in found}) > 1)


def _has_a_seed_twice(condition: Condition) -> bool:
    seeds = [seed for seed in condition.seeds if seed is not None]
    return len(set(seeds)) < len(seeds)


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
