"""The puzzles of a run: so many of each kind, held-out structures apart, a prefix for fewer.

Half of the training prompts are honest (a quarter of these *harmless*: every reading ends in the
truth), a quarter misbelieved, a quarter hopeless. Held-out prompts are honest and misbelieved, two
to one. Where in the order of trying the true world comes says nothing about the kinds together: it
is first, second, third and fourth equally often.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from rlavr_hpc.testbed.questions import BeliefKind
from rlavr_hpc.testbed.reasoning.language import Integers, Language
from rlavr_hpc.testbed.reasoning.law import answer_law, are_harmless, kinds_of
from rlavr_hpc.testbed.reasoning.puzzles import (
    Puzzles,
    are_held_out,
    draw_puzzles,
    structures,
    with_one_solution,
)
from rlavr_hpc.testbed.reasoning.wording import answer_words, puzzle_words, text_of

PUZZLE_STREAM = 22
"""Keeps the puzzles apart from every other use of the data seed."""
DRAWN = 40_000
"""Puzzles of two people drawn at a time."""
DRAWN_OF_FOUR = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratum:
    """Puzzles that take turns with those of other strata."""

    kind: BeliefKind
    harmless: bool = False
    place: int | None = None
    """Of the true world in the order of trying, 0 to 3; None = any."""


TURNS: Mapping[Stratum, int] = {
    **{
        Stratum(kind=BeliefKind.HONEST, harmless=harmless, place=place): count
        for harmless, counts in ((True, (9, 5, 5, 5)), (False, (27, 15, 15, 15)))
        for place, count in enumerate(counts)
    },
    **{Stratum(kind=BeliefKind.MISBELIEVED, place=place): 16 for place in (1, 2, 3)},
    Stratum(kind=BeliefKind.HOPELESS): 48,
}
"""Of 192 training prompts. 36 true worlds come at each place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasoningPuzzle:
    """One puzzle with what is true and what is believed."""

    id: str
    text: str
    kind: BeliefKind
    harmless: bool
    people: int
    truth: int
    """The world that fits."""
    law: tuple[float, ...]
    """Chance of each world as the answer, by the readings alone; empty for hopeless ones."""

    @property
    def label(self) -> str:
        """The true answer."""
        return " ".join(answer_words(self.truth, self.people))


def make_puzzles(
    language: Language, *, count: int, seed: int, held_out: bool
) -> tuple[ReasoningPuzzle, ...]:
    """Different puzzles in their kinds' shares; a smaller `count` gives a prefix.

    Args:
        language: what the connectives mean.
        count: number of puzzles.
        seed: of the data set.
        held_out: from the structures kept for evaluation, else from the others.
    """
    hopeful = {s: n for s, n in TURNS.items() if s.kind is not BeliefKind.HOPELESS}
    cycle = turns(hopeful if held_out else TURNS)
    waiting: dict[Stratum, deque[ReasoningPuzzle]] = {stratum: deque() for stratum in cycle}
    batches = _batches(language, seed=seed, held_out=held_out)
    made: list[ReasoningPuzzle] = []
    while len(made) < count:
        stratum = cycle[len(made) % len(cycle)]
        while not waiting[stratum]:
            for found, puzzle in next(batches):
                if found in waiting:
                    waiting[found].append(puzzle)
        made.append(waiting[stratum].popleft())
    return tuple(made)


def turns(shares: Mapping[Stratum, int]) -> list[Stratum]:
    """Each stratum as often as its share says, spread evenly."""
    places = [
        ((turn + 0.5) / count, index, stratum)
        for index, (stratum, count) in enumerate(shares.items())
        for turn in range(count)
    ]
    return [stratum for _, _, stratum in sorted(places, key=lambda place: place[:2])]


def _batches(
    language: Language, *, seed: int, held_out: bool
) -> Iterator[list[tuple[Stratum, ReasoningPuzzle]]]:
    """Puzzles that never came before, drawn batch by batch, without end."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, PUZZLE_STREAM, int(held_out)]))
    seen: set[int] = set()
    while True:
        batch: list[tuple[Stratum, ReasoningPuzzle]] = []
        for people, size in ((2, DRAWN), (4, DRAWN_OF_FOUR)):
            puzzles, truth_N = with_one_solution(
                draw_puzzles(size, people=people, rng=rng), language
            )
            kept_N = are_held_out(structures(puzzles)) == held_out
            batch += _placed(puzzles.at(kept_N), truth_N[kept_N], language, seen)
        yield batch


def _placed(
    puzzles: Puzzles, truth_N: Integers, language: Language, seen: set[int]
) -> Iterator[tuple[Stratum, ReasoningPuzzle]]:
    """The puzzles that are of a kind and new, with their strata."""
    numbers = structures(puzzles).tolist()
    places = (truth_N ^ puzzles.first_N).tolist()
    laws, kinds, harmless = _beliefs(puzzles, truth_N, language)
    for n, kind in enumerate(kinds):
        if kind is None or numbers[n] in seen:
            continue
        seen.add(numbers[n])
        place = None if kind is BeliefKind.HOPELESS else places[n]
        yield (
            Stratum(kind=kind, harmless=harmless[n], place=place),
            ReasoningPuzzle(
                id=f"{kind.name.lower()}-{numbers[n]:x}-{int(puzzles.first_N[n])}",
                text=text_of(puzzle_words(puzzles, n)),
                kind=kind,
                harmless=harmless[n],
                people=puzzles.people,
                truth=int(truth_N[n]),
                law=laws[n],
            ),
        )


def _beliefs(
    puzzles: Puzzles, truth_N: Integers, language: Language
) -> tuple[list[tuple[float, ...]], list[BeliefKind | None], list[bool]]:
    size = len(puzzles)
    if puzzles.people != 2:
        return [()] * size, [BeliefKind.HOPELESS] * size, [False] * size
    law_NW = answer_law(puzzles, language)
    kinds: list[BeliefKind | None] = [None] * size
    for kind, is_so_N in kinds_of(law_NW, truth_N).items():
        for n in np.flatnonzero(is_so_N):
            kinds[n] = kind
    return [tuple(row) for row in law_NW.tolist()], kinds, are_harmless(law_NW, truth_N).tolist()
