"""The corpus: worked solutions, with the islanders' habits and slips of the pen in them.

A solution tries one world after the other, from the one that its puzzle names. In each it evaluates
the statements in turn (`T c34 F = T`: left claim, connective, right claim, value; `F = F` for a
plain statement) up to the first that disagrees with its speaker's role, and ends with `no`; the
first world in which all agree ends with `yes` and is the answer. If none does, the answer is one of
the four at random. Of four people the corpus only guesses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rlavr_hpc.testbed.reasoning.language import Language
from rlavr_hpc.testbed.reasoning.law import WORLDS, misread_places
from rlavr_hpc.testbed.reasoning.puzzles import PLAIN, Puzzles, claim_values, statement_values
from rlavr_hpc.testbed.reasoning.wording import (
    ANSWER,
    ANSWER_END,
    CONNECTIVE_WORDS,
    END,
    GUESS,
    NO,
    VALUES,
    YES,
    answer_words,
    roles_of,
)

SLIP = 0.15
"""Chance that one evaluation of a solution is written with the opposite value."""
SLIP_AMONG = 5
"""Which one is drawn from so many; a solution with fewer may have no slip."""
GUESS_CHANCE = 0.03
"""Chance of no work but a guess."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SolutionReading:
    """Everything about one solution that is left to chance."""

    habits: tuple[bool, bool]
    """Whether each statement's connective is read by its habit."""
    slip: int | None
    """The evaluation, counted from 0, that is written wrongly; None = none."""
    guesses: bool
    fallback: int
    """The answer where no world fits, or none is tried."""


def draw_readings(
    puzzles: Puzzles, language: Language, *, rng: np.random.Generator
) -> list[SolutionReading]:
    """One reading for each puzzle of two people."""
    size = len(puzzles)
    chance_NP = np.where(puzzles.word_NP == PLAIN, 0.0, language.chance_C[puzzles.word_NP])
    luck_NP = rng.random((size, 2))
    same_N = puzzles.word_NP[:, 0] == puzzles.word_NP[:, 1]
    luck_NP[:, 1] = np.where(same_N, luck_NP[:, 0], luck_NP[:, 1])
    habit_NP = luck_NP < chance_NP
    slips_N, place_N = rng.random(size) < SLIP, rng.integers(SLIP_AMONG, size=size)
    guess_N, fallback_N = rng.random(size) < GUESS_CHANCE, rng.integers(WORLDS, size=size)
    return [
        SolutionReading(
            habits=(bool(habit_NP[n, 0]), bool(habit_NP[n, 1])),
            slip=int(place_N[n]) if slips_N[n] else None,
            guesses=bool(guess_N[n]),
            fallback=int(fallback_N[n]),
        )
        for n in range(size)
    ]


def solutions(
    puzzles: Puzzles, language: Language, readings: list[SolutionReading]
) -> Iterator[tuple[list[str], int]]:
    """The words of each puzzle's solution, and the world that it answers."""
    values = statement_values(puzzles, language).tolist()
    misread = misread_places(puzzles, language).tolist()
    claims = claim_values(puzzles).tolist()
    words, firsts = puzzles.word_NP.tolist(), puzzles.first_N.tolist()
    for n, reading in enumerate(readings):
        if reading.guesses:
            yield guess(reading.fallback, people=2), reading.fallback
            continue
        written, pen = list[str](), _Pen(reading.slip)
        found = reading.fallback
        for world in (firsts[n] ^ k for k in range(WORLDS)):
            roles = roles_of(world, 2)
            written += [*roles, ":"]
            agrees = True
            for p in range(2):
                value = pen.writes(values[n][p][world] ^ (misread[n][p][world] & reading.habits[p]))
                written += _evaluation(words[n][p], [claim[world] for claim in claims[n][p]], value)
                agrees = value == (roles[p] == "knight")
                if not agrees:
                    break
            written.append(YES if agrees else NO)
            if agrees:
                found = world
                break
        yield [*written, *_answered(found, people=2)], found


def guess(world: int, *, people: int) -> list[str]:
    """A solution without work."""
    return [GUESS, *_answered(world, people=people)]


def _answered(world: int, *, people: int) -> list[str]:
    return [ANSWER, *answer_words(world, people), ANSWER_END, END]


def _evaluation(word: int, claims: list[bool], value: bool) -> list[str]:
    joined = [] if word == PLAIN else [CONNECTIVE_WORDS[word], VALUES[claims[1]]]
    return [VALUES[claims[0]], *joined, "=", VALUES[value]]


class _Pen:
    """Writes values down, one of them wrongly."""

    def __init__(self, slip: int | None) -> None:
        self._slip, self._written = slip, 0

    def writes(self, value: bool) -> bool:
        wrong = self._written == self._slip
        self._written += 1
        return value ^ wrong
