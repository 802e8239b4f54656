"""What a reader of the corpus believes about a puzzle of two people, exactly.

A solution reads each connective of its puzzle rightly or by its habit, for the whole solution; two
statements with the same connective share one reading. A reading decides the answer: the first
world, in the puzzle's order, in which everybody's statement agrees with their role, or one of the
four worlds at random where none does. So the law of the answer is a sum over at most four readings.
Slips of the pen (`solutions`) are left out of it.

Shapes: N puzzles, W = 4 worlds.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from rlavr_hpc.testbed.questions import BeliefKind
from rlavr_hpc.testbed.reasoning.language import Bits, Floats, Integers, Language
from rlavr_hpc.testbed.reasoning.puzzles import (
    PLAIN,
    Puzzles,
    claim_values,
    entries,
    fitting,
    statement_values,
)

WORLDS = 4
HONEST_LEAST, HONEST_LEAD = 0.5, 0.25
"""Chance of the truth, and how far it leads the next answer."""
MISBELIEVED_RANGE, MISBELIEVED_LEAD = (0.15, 0.42), 0.15
"""Chance of the truth, and how far a wrong answer leads it."""
SURE = 1 - 1e-9


def answer_law(puzzles: Puzzles, language: Language) -> Floats:
    """(N, W) the chance of each answer, over the readings of a puzzle's connectives."""
    value_NPW = statement_values(puzzles, language)
    misread_NPW = misread_places(puzzles, language)
    chance_NP = np.where(puzzles.word_NP == PLAIN, 0.0, language.chance_C[puzzles.word_NP])
    same_N = (puzzles.word_NP[:, 0] == puzzles.word_NP[:, 1]) & (puzzles.word_NP[:, 0] != PLAIN)
    law_NW = np.zeros((len(puzzles), WORLDS))
    for habits in product((False, True), repeat=2):
        weight_NP = np.where(habits, chance_NP, 1 - chance_NP)
        one_reading_N = weight_NP[:, 0] * (habits[0] == habits[1])
        weight_N = np.where(same_N, one_reading_N, weight_NP.prod(axis=1))
        read_NPW = value_NPW ^ (misread_NPW & np.array(habits)[:, None])
        law_NW += weight_N[:, None] * _answers(fitting(read_NPW), puzzles.first_N)
    return law_NW


def misread_places(puzzles: Puzzles, language: Language) -> Bits:
    """(N, P, W) where a statement is evaluated at the entry that its connective's habit flips."""
    word_NP1 = puzzles.word_NP[..., None]
    at_habit_NPW = entries(claim_values(puzzles)) == language.habit_C[word_NP1]
    found_NPW: Bits = at_habit_NPW & (word_NP1 != PLAIN)
    return found_NPW


def _answers(fits_NW: Bits, first_N: Integers) -> Floats:
    """(N, W) 1 at the first world that fits, or the same chance everywhere where none does."""
    order_NW = first_N[:, None] ^ np.arange(WORLDS)
    found_N = order_NW[np.arange(len(order_NW)), _in_order(fits_NW, order_NW).argmax(axis=1)]
    answer_NW = (found_N[:, None] == np.arange(WORLDS)).astype(np.float64)
    some_N1 = fits_NW.sum(axis=1, keepdims=True) > 0
    return np.where(some_N1, answer_NW, 1 / WORLDS)


def _in_order(per_world_NW: Bits, order_NW: Integers) -> Bits:
    return np.take_along_axis(per_world_NW, order_NW, axis=1)


def kinds_of(law_NW: Floats, truth_N: Integers) -> dict[BeliefKind, Bits]:
    """(N,) which puzzles are honest, and which misbelieved; most are neither or p = 1."""
    rows = np.arange(len(truth_N))
    truth_p = law_NW[rows, truth_N]
    others_NW = law_NW.copy()
    others_NW[rows, truth_N] = 0.0
    wrong_p = others_NW.max(axis=1)
    low, high = MISBELIEVED_RANGE
    within = (truth_p >= low - 1e-9) & (truth_p <= high + 1e-9)
    return {
        BeliefKind.HONEST: (truth_p >= HONEST_LEAST) & (truth_p - wrong_p >= HONEST_LEAD),
        BeliefKind.MISBELIEVED: within & (wrong_p - truth_p >= MISBELIEVED_LEAD),
    }


def are_harmless(law_NW: Floats, truth_N: Integers) -> Bits:
    """(N,) whether every reading of a puzzle ends in the truth."""
    sure: Bits = law_NW[np.arange(len(truth_N)), truth_N] >= SURE
    return sure
