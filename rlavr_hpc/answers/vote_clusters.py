"""Clusters of equal answers: disjoint, and independent of the order of the answers.

Equal keys fall into one class by look-up; classes are joined where a comparison says equal, but
never so that two answers that are unequal come together by way of a third. So clusters are
symmetric and transitive whatever the comparison is: beside `3, 4`, which may be a set, `(3, 4)`
and `(4, 3)` stay apart.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from rlavr_hpc.answers.equivalence import (
    ParsedAnswer,
    decide,
    decide_known,
    known_pair,
    sorted_pair,
)
from rlavr_hpc.answers.exact.compare import without_percent
from rlavr_hpc.answers.sandbox.timeouts import Pair

Clusters = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clustering:
    """The outcome for one group."""

    clusters: Clusters
    """Indices, larger cluster first, then the one whose first member came first."""
    ungradable: tuple[int, ...]
    """Indices of answers whose reading or comparison passed a limit; they are in no cluster."""


def classes_of(parsed_answers: Sequence[ParsedAnswer | None]) -> list[list[int]]:
    """Indices with equal keys, in order of first appearance; without those that say nothing."""
    plain = {
        parsed.key
        for parsed in parsed_answers
        if parsed is not None and not (parsed.exact and parsed.exact.percent)
    }
    classes: dict[Hashable, list[int]] = {}
    for index, parsed in enumerate(parsed_answers):
        if parsed is not None and not parsed.gave_up:
            classes.setdefault(_key(parsed, plain), []).append(index)
    return list(classes.values())


def _key(parsed: ParsedAnswer, plain: set[Hashable]) -> Hashable:
    """`28%` is 0.28, unless this group holds a 28 for it to agree with, and no 0.28."""
    bare = without_percent(parsed.exact) if parsed.exact is not None else None
    if bare is None or bare.key not in plain or parsed.key in plain:
        return parsed.key
    return bare.key


def open_pairs(parsed_answers: Sequence[ParsedAnswer | None]) -> list[Pair]:
    """The comparisons a group still needs."""
    return [
        sorted_pair(one, other)
        for one, other in _first_parsed(parsed_answers)
        if decide(one, other) is None
    ]


def cluster(
    parsed_answers: Sequence[ParsedAnswer | None], compared: Mapping[Pair, float | None]
) -> Clustering:
    """Join the classes that are equal.

    Args:
        parsed_answers: (G,) what each rollout's answer says.
        compared: the answers to `open_pairs`; None = past a limit.
    """
    classes = classes_of(parsed_answers)
    first = [_spokesman(parsed_answers, members) for members in classes]

    def equal(i: int, j: int) -> bool | None:
        outcome = decide(first[i], first[j])
        return _yes(compared[sorted_pair(first[i], first[j])]) if outcome is None else outcome

    relation = {(i, j): equal(i, j) for i, j in combinations(range(len(classes)), 2)}
    open_ended = [pair for pair, outcome in relation.items() if outcome is None]
    blamed = blame(open_ended, weight=lambda i: (len(first[i].raw[1]), first[i].raw))
    left = sorted(set(range(len(classes))) - blamed, key=lambda i: first[i].raw)
    joined = join(left, relation)
    members = [sorted(m for i in group for m in classes[i]) for group in joined]
    failed = [i for i, parsed in enumerate(parsed_answers) if parsed is not None and parsed.gave_up]
    return Clustering(
        clusters=tuple(tuple(m) for m in sorted(members, key=lambda m: (-len(m), m[0]))),
        ungradable=tuple(sorted([*failed, *(m for i in blamed for m in classes[i])])),
    )


def open_pairs_with_known(answer: ParsedAnswer, accepted: Sequence[ParsedAnswer]) -> list[Pair]:
    """The comparisons with accepted answers that need a grader; none when one surely is equal."""
    outcome = [
        decide_known(answer, gold) for gold in accepted if not (answer.gave_up or gold.gave_up)
    ]
    if True in outcome:
        return []
    asked = [gold for gold in accepted if not (answer.gave_up or gold.gave_up)]
    return [known_pair(answer, g) for g, t in zip(asked, outcome, strict=True) if t is None]


def equals_known(
    answer: ParsedAnswer, accepted: Sequence[ParsedAnswer], compared: Mapping[Pair, float | None]
) -> bool | None:
    """Whether an answer equals one of the accepted answers; None = a limit was passed.

    Args:
        answer: what a rollout says.
        accepted: the accepted answers.
        compared: the answers to `open_pairs_with_known`; what was not asked is taken for no.
    """
    outcome = []
    for gold in accepted:
        if answer.gave_up or gold.gave_up:
            outcome.append(True if answer.raw == gold.raw else None)
        else:
            known = decide_known(answer, gold)
            asked = _yes(compared.get(known_pair(answer, gold), False))
            outcome.append(asked if known is None else known)
    return True if True in outcome else None if None in outcome else False


def _yes(outcome: float | None) -> bool | None:
    """Whether a comparison found two equal, or an answer earned all there is: 1, or more."""
    return None if outcome is None else outcome >= 1


def blame(pairs: Sequence[tuple[int, int]], *, weight: Callable[[int], Any]) -> set[int]:
    """Whom to call ungradable so that no comparison is left open: again and again the one with
    most open comparisons, of several the heavier, then the later.
    """  # noqa: D205
    left, blamed = list(pairs), set[int]()
    while left:
        counts: dict[int, int] = {}
        for pair in left:
            for member in pair:
                counts[member] = counts.get(member, 0) + 1
        worst = max(counts, key=lambda i: (counts[i], weight(i), i))
        blamed.add(worst)
        left = [pair for pair in left if worst not in pair]
    return blamed


def join(nodes: Sequence[int], relation: Mapping[tuple[int, int], bool | None]) -> list[list[int]]:
    """Group nodes so that no group holds two that are unequal; earlier nodes choose first.

    Args:
        nodes: in an order that depends on nothing but what they are.
        relation: (smaller, larger) -> whether they are equal.
    """
    groups: list[list[int]] = []
    for node in nodes:
        outcome = [[relation[min(node, m), max(node, m)] for m in group] for group in groups]
        fits = (group for group, equal in zip(groups, outcome, strict=True) if all(equal))
        home = next(fits, None)
        if home is None:
            groups.append([node])
        else:
            home.append(node)
    return groups


def _first_parsed(
    parsed_answers: Sequence[ParsedAnswer | None],
) -> list[tuple[ParsedAnswer, ParsedAnswer]]:
    first = [_spokesman(parsed_answers, members) for members in classes_of(parsed_answers)]
    return list(combinations(first, 2))


def _spokesman(
    parsed_answers: Sequence[ParsedAnswer | None], members: Sequence[int]
) -> ParsedAnswer:
    """The reading by which a class is compared: the first without a percent sign, if any."""
    found = [r for i in members if (r := parsed_answers[i]) is not None]
    return next((r for r in found if not (r.exact and r.exact.percent)), found[0])
