"""Tables of `benchmarks.policies`: accuracies, shares and faults, line by line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from benchmarks.policy_arms import (
    DEFAULT,
    FULL,
    NONE,
    RANDOM,
    RATES,
    VOTE_LAYOUTS,
    VOTE_READ,
    VOTE_RULES,
    variant,
)
from benchmarks.policy_lines import (
    LineKey,
    Lines,
    Seeds,
    accuracies,
    accuracy,
    change,
    fault_counts,
    share_of_full,
    share_of_way,
)
from benchmarks.policy_statistics import Estimate

CLEAR = 0.05
"""Change of accuracy of a single run that counts as one."""


def by_budget(lines: Lines) -> list[str]:
    """A row per policy of the default world, a column per budget, best policies first."""
    mine = {key: runs for key, runs in lines.items() if key.world == DEFAULT.name}
    budgets = sorted({key.budget for key in mine if 0 < key.budget < 1})
    best: dict[str, float] = {}
    for key, runs in mine.items():
        best[key.arm] = max(best.get(key.arm, 0.0), fmean(accuracies(runs)))
    table = [
        f"| policy | seeds | {' | '.join(f'{budget:.0%}' for budget in budgets)} |",
        f"|---|---|{'---|' * len(budgets)}",
    ]
    for arm in sorted(best, key=lambda name: -best[name]):
        fixed = mine.get(LineKey(DEFAULT.name, arm, 1.0)) or mine.get(
            LineKey(DEFAULT.name, arm, 0.0)
        )
        found = [fixed or mine.get(LineKey(DEFAULT.name, arm, budget), {}) for budget in budgets]
        note = " (all labels)" if arm == FULL else " (no label)" if fixed else ""
        cells = [symmetric(accuracy(runs)) if runs else "" for runs in found]
        runs_of_arm = [runs for key, runs in mine.items() if key.arm == arm]
        table.append(f"| `{arm}`{note} | {seed_count(runs_of_arm)} | {' | '.join(cells)} |")
    return table


def details(lines: Lines, world: str) -> list[str]:
    """A row per line of a world, by budget."""
    table = [
        "| policy | budget | seeds | labels | accuracy | best | share of full | random to full "
        "| cut off | faults |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    mine = [key for key in lines if key.world == world]
    for key in sorted(mine, key=lambda key: (key.budget, key.arm)):
        rows = list(lines[key].values())
        table.append(
            f"| {key.arm} | {key.budget:g} | {len(rows)} | {fmean(r.labels for r in rows):,.0f} "
            f"| {symmetric(accuracy(lines[key]))} | {fmean(r.accuracy_best for r in rows):.3f} "
            f"| {share(share_of_full(lines, key)) if key.arm != FULL else ''} "
            f"| {share(share_of_way(lines, key)) if key.arm not in (FULL, RANDOM) else ''} "
            f"| {fmean(r.truncated_end for r in rows):.0%} | {fault_counts(rows)} |"
        )
    return table


def overview(lines: Lines) -> list[str]:
    """A row per world, a column per policy with its budgets: mean accuracies at the end."""
    arms: dict[str, set[float]] = {}
    for key in lines:
        arms.setdefault(key.arm, set()).add(key.budget)
    heads = [
        f"{arm} {' / '.join(f'{budget:.0%}' for budget in sorted(budgets))}"
        if budgets - {0.0, 1.0}
        else arm
        for arm, budgets in arms.items()
    ]
    table = [
        f"| world | seeds | before | {' | '.join(heads)} |",
        f"|---|---|---|{'---|' * len(heads)}",
    ]
    for world in dict.fromkeys(key.world for key in lines):
        mine = {key: runs for key, runs in lines.items() if key.world == world}
        before = fmean(row.accuracy_start for runs in mine.values() for row in runs.values())
        cells = [
            " / ".join(
                f"{fmean(accuracies(mine[key])):.3f}" if key in mine else "-"
                for key in (LineKey(world, arm, budget) for budget in sorted(budgets))
            )
            for arm, budgets in arms.items()
        ]
        seeds = seed_count(list(mine.values()))
        table.append(f"| {world} | {seeds} | {before:.3f} | {' | '.join(cells)} |")
    return table


def worlds(lines: Lines) -> list[str]:
    """A section per world: what the vote alone does there, and all lines."""
    found = []
    for world in dict.fromkeys(key.world for key in lines):
        start = fmean(
            row.accuracy_start
            for key, runs in lines.items()
            if key.world == world
            for row in runs.values()
        )
        none = lines.get(LineKey(world, NONE, 0.0))
        said = f" {vote_alone(none)}" if none else ""
        found += ["", f"### {world}", "", f"Accuracy before training: {start:.3f}.{said}", ""]
        found += details(lines, world)
    return found


def vote_alone(runs: Seeds) -> str:
    """What training on the majority vote alone does, in a sentence."""
    moved, begun = change(runs), fmean(row.accuracy_start for row in runs.values())
    words = {"helps": "The vote alone helps", "harms": "The vote alone harms"}
    said = words.get(vote_effect(runs), "The vote alone does neither")
    return f"{said}: {begun:.3f} -> {begun + moved.value:.3f} (change {interval(moved)})."


def vote_effect(runs: Seeds) -> str:
    """`helps`, `harms`, or `neither`: the change is within noise."""
    moved = change(runs)
    clear = moved.excludes_zero if len(runs) > 1 else abs(moved.value) > CLEAR
    if not clear:
        return "neither"
    return "helps" if moved.value > 0 else "harms"


def vote_table(lines: Lines) -> list[str]:
    """A row per layout and wrong rule, a column per length of pre-training."""
    table = [
        "| families | misbelieved | "
        + " | ".join(f"{steps} steps of pre-training" for steps in VOTE_READ)
        + " |",
        f"|---|---|{'---|' * len(VOTE_READ)}",
    ]
    for kinds in VOTE_LAYOUTS:
        for rule in VOTE_RULES:
            names = [variant(kinds, rule, steps=steps).name for steps in VOTE_READ]
            found = [lines.get(LineKey(name, NONE, 0.0)) for name in names]
            cells = [_vote_cell(runs) if runs else "" for runs in found]
            misbelieved = f"{kinds.count('M')} of {len(kinds)}"
            table.append(f"| `{kinds}` rule {rule} | {misbelieved} | {' | '.join(cells)} |")
    return table


def _vote_cell(runs: Seeds) -> str:
    right = fmean(row.votes_right_start for row in runs.values())
    start = fmean(row.accuracy_start for row in runs.values())
    end = fmean(row.accuracy_end for row in runs.values())
    return f"{start:.2f} -> {end:.2f} {vote_effect(runs)} ({right:.2f})"


def rates_table(lines: Lines) -> list[str]:
    """A row per learning rate, and which was best for each policy."""
    arms = list(dict.fromkeys((key.arm, key.budget) for key in lines))
    if not arms:
        return []
    heads = " | ".join(f"{arm}, {budget:.0%} | faults" for arm, budget in arms)
    table = [f"| `algorithm.lr` | seeds | {heads} |", f"|---|---|{'---|---|' * len(arms)}"]
    for rate in RATES:
        found = [lines.get(LineKey(f"lr {rate}", arm, budget), {}) for arm, budget in arms]
        cells = [
            f"{symmetric(accuracy(runs)) if runs else ''} | {fault_counts(runs.values())}"
            for runs in found
        ]
        table.append(f"| {rate} | {seed_count(found)} | {' | '.join(cells)} |")
    best = [
        f"{arm} at {max(mine, key=lambda key: fmean(accuracies(lines[key]))).world}"
        for arm, budget in arms
        if (mine := [key for key in lines if key[1:] == (arm, budget)])
    ]
    return [*table, "", f"Highest mean: {', '.join(best)}."]


def seed_count(lines: Sequence[Seeds]) -> str:
    """How many seeds, `3 to 5` where lines differ."""
    counts = {len(runs) for runs in lines if runs}
    if not counts:
        return "0"
    return str(max(counts)) if len(counts) == 1 else f"{min(counts)} to {max(counts)}"


def symmetric(found: Estimate) -> str:
    """`0.604 ± 0.048`, or the value alone."""
    if math.isnan(found.half_width):
        return f"{found.value:.3f}"
    return f"{found.value:.3f} ± {found.half_width:.3f}"


def interval(found: Estimate) -> str:
    """`+0.100, 0.050 to 0.150`."""
    if math.isnan(found.low):
        return f"{found.value:+.3f}"
    return f"{found.value:+.3f}, {found.low:+.3f} to {found.high:+.3f}"


def share(found: Estimate | None) -> str:
    """`87% (80% to 95%)`; `-` = not to be told from these runs."""
    if found is None:
        return "-"
    if math.isnan(found.low):
        return f"{found.value:.0%}"
    return f"{found.value:.0%} ({found.low:.0%} to {found.high:.0%})"
