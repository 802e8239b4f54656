"""What the base model reads: batches of puzzles of the training structures, each solved some times.

Puzzles come as they are drawn, of every kind and of none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rlavr_hpc.testbed.reasoning.language import make_language
from rlavr_hpc.testbed.reasoning.puzzles import (
    Puzzles,
    are_held_out,
    draw_puzzles,
    structures,
    with_one_solution,
)
from rlavr_hpc.testbed.reasoning.solutions import draw_readings, guess, solutions
from rlavr_hpc.testbed.reasoning.wording import VOCABULARY, puzzle_words

TWO_PEOPLE, FOUR_PEOPLE = 40, 8
"""Puzzles of a batch."""
SOLUTIONS = 4
"""Of each puzzle."""
STEPS_AHEAD = 50
"""Batches whose puzzles are drawn together."""
CORPUS_STREAM = 23
"""Keeps the corpus apart from every other use of the data seed."""
TOKENS = {word: number for number, word in enumerate(VOCABULARY)}


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusBatch:
    """What is read in one step, as tokens."""

    puzzles: list[list[int]]
    solutions: list[tuple[int, list[int]]]
    """Each with the index of its puzzle."""


def read_corpus(seed: int, *, steps: int) -> Iterator[CorpusBatch]:
    """What is read in each step: never a structure that is held out.

    Args:
        seed: of the data set.
        steps: number of batches.
    """
    language = make_language(seed)
    rng = np.random.default_rng(np.random.SeedSequence([seed, CORPUS_STREAM]))

    def training(people: int, size: int) -> Puzzles:
        drawn = draw_puzzles(4 * size + 100, people=people, rng=rng)  # 28% or more of use
        puzzles, _ = with_one_solution(drawn, language)
        return puzzles.at(np.flatnonzero(~are_held_out(structures(puzzles)))[:size])

    for start in range(0, steps, STEPS_AHEAD):
        ahead = min(STEPS_AHEAD, steps - start)
        two, four = training(2, ahead * TWO_PEOPLE), training(4, ahead * FOUR_PEOPLE)
        repeated = two.at(np.repeat(np.arange(len(two)), SOLUTIONS))
        readings = draw_readings(repeated, language, rng=rng)
        solved = [words for words, _ in solutions(repeated, language, readings)]
        worlds = rng.integers(16, size=SOLUTIONS * len(four)).tolist()
        guessed = [guess(world, people=4) for world in worlds]
        for step in range(ahead):
            parts = (two, solved, TWO_PEOPLE), (four, guessed, FOUR_PEOPLE)
            yield _batch([(p, step * n + i, w) for p, w, n in parts for i in range(n)])


def _batch(chosen: list[tuple[Puzzles, int, list[list[str]]]]) -> CorpusBatch:
    """Puzzles by their place among others, with the solutions of all of those."""
    solved = [
        (index, words)
        for index, (_, place, written) in enumerate(chosen)
        for words in written[SOLUTIONS * place :][:SOLUTIONS]
    ]
    return CorpusBatch(
        puzzles=[_tokens(puzzle_words(puzzles, place)) for puzzles, place, _ in chosen],
        solutions=[(index, _tokens(words)) for index, words in solved],
    )


def _tokens(words: list[str]) -> list[int]:
    return [TOKENS[word] for word in words]
