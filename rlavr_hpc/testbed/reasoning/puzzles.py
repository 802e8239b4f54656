"""Puzzles as arrays: who claims what, what holds in which world, and which world is the true one.

Everybody on the island is a knight, whose statements are true, or a knave, whose statements are
false. World w gives everybody a role: person p is a knave where bit P - 1 - p of w is set, so world
0 has knights only. Of two people the worlds 0..3 are KK, KN, NK and NN.

Shapes: N puzzles, P people, each with one statement, W = 2^P worlds; the axis 2 is left and right.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from rlavr_hpc.testbed.reasoning.language import CONNECTIVES, Bits, Integers, Language

PLAIN = -1
"""In place of a connective: the statement is one claim, about another person."""
PLAIN_CHANCE = {2: 0.3, 4: 0.5}
"""By number of people; more plain statements keep the prompts of four people short."""
NEGATED = 0.25
"""Chance of a `not` in a claim."""
HELD_OUT_EVERY = 4
"""One structure in so many is kept for evaluation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Puzzles:
    """N puzzles of the same number of people."""

    word_NP: Integers
    """Each person's connective, or `PLAIN`."""
    about_NP2: Integers
    """Whom the two claims are about; the right one of a plain statement repeats the left."""
    knave_NP2: Bits
    """Whether a claim says knave."""
    not_NP2: Bits
    """Whether it is negated."""
    first_N: Integers
    """The world that a solution tries first; it goes on with first ^ 1, first ^ 2, first ^ 3."""

    def __len__(self) -> int:
        return len(self.first_N)

    @property
    def people(self) -> int:
        """P."""
        return int(self.word_NP.shape[1])

    def at(self, chosen: Integers | Bits) -> Puzzles:
        """Some of them, by index or by mask."""
        return Puzzles(**{one.name: getattr(self, one.name)[chosen] for one in fields(self)})


def joined(parts: list[Puzzles]) -> Puzzles:
    """Several in one, in order."""
    names = [one.name for one in fields(Puzzles)]
    return Puzzles(**{n: np.concatenate([getattr(part, n) for part in parts]) for n in names})


def knights(people: int) -> Bits:
    """(P, W) who is a knight in which world."""
    worlds = np.arange(2**people)
    return np.array([(worlds >> (people - 1 - p)) & 1 == 0 for p in range(people)])


def draw_puzzles(size: int, *, people: int, rng: np.random.Generator) -> Puzzles:
    """Draw statements at random; most of them have no or several solutions."""
    shape = (size, people)
    plain_NP = rng.random(shape) < PLAIN_CHANCE[people]
    speaker_NP = np.broadcast_to(np.arange(people), shape)
    other_NP = (speaker_NP + rng.integers(1, people, size=shape)) % people
    left_NP = rng.integers(people, size=shape)
    right_NP = (left_NP + rng.integers(1, people, size=shape)) % people
    about_NP2 = np.stack([left_NP, right_NP], axis=-1)
    about_NP2 = np.where(plain_NP[..., None], other_NP[..., None], about_NP2)
    knave_NP2 = rng.random((*shape, 2)) < 0.5
    not_NP2 = rng.random((*shape, 2)) < NEGATED
    for claim_NP2 in (knave_NP2, not_NP2):
        claim_NP2[..., 1] = np.where(plain_NP, claim_NP2[..., 0], claim_NP2[..., 1])
    return Puzzles(
        word_NP=np.where(plain_NP, PLAIN, rng.integers(CONNECTIVES, size=shape)),
        about_NP2=about_NP2,
        knave_NP2=knave_NP2,
        not_NP2=not_NP2,
        first_N=rng.integers(2**people, size=size),
    )


def claim_values(puzzles: Puzzles) -> Bits:
    """(N, P, 2, W) whether each claim holds in each world."""
    knight_NP2W = knights(puzzles.people)[puzzles.about_NP2]
    return knight_NP2W ^ (puzzles.knave_NP2 ^ puzzles.not_NP2)[..., None]


def entries(claim_NP2W: Bits) -> Integers:
    """(N, P, W) the entry of its connective's table that a statement is evaluated at."""
    return 2 * claim_NP2W[:, :, 0].astype(np.int64) + claim_NP2W[:, :, 1]


def statement_values(puzzles: Puzzles, language: Language) -> Bits:
    """(N, P, W) whether each statement is true in each world, by the true tables."""
    claim_NP2W = claim_values(puzzles)
    word_NP1 = puzzles.word_NP[..., None]
    joint_NPW = language.table_C4[word_NP1, entries(claim_NP2W)]
    return np.where(word_NP1 == PLAIN, claim_NP2W[:, :, 0], joint_NPW)


def fitting(value_NPW: Bits) -> Bits:
    """(N, W) whether knights and only knights say what is true in a world."""
    fits: Bits = (value_NPW == knights(value_NPW.shape[1])).all(axis=1)
    return fits


def with_one_solution(puzzles: Puzzles, language: Language) -> tuple[Puzzles, Integers]:
    """The puzzles that exactly one world fits, and that world of each."""
    fits_NW = fitting(statement_values(puzzles, language))
    unique_N = fits_NW.sum(axis=1) == 1
    return puzzles.at(unique_N), fits_NW[unique_N].argmax(axis=1)


def structures(puzzles: Puzzles) -> npt.NDArray[np.uint64]:
    """(N,) a number for who claims what; equal for equal statements, whatever world is first."""
    people = puzzles.people
    code_NP = (puzzles.word_NP + 1).astype(np.uint64)
    for side in (0, 1):
        code_NP = code_NP * np.uint64(people) + puzzles.about_NP2[..., side].astype(np.uint64)
        for bit_NP2 in (puzzles.knave_NP2, puzzles.not_NP2):
            code_NP = code_NP * np.uint64(2) + bit_NP2[..., side].astype(np.uint64)
    base = np.uint64((CONNECTIVES + 1) * people**2 * 16)
    number_N = np.zeros(len(puzzles), dtype=np.uint64)
    for person in range(people):
        number_N = number_N * base + code_NP[:, person]
    return number_N


def are_held_out(structure_N: npt.NDArray[np.uint64]) -> Bits:
    """(N,) whether a structure is kept for evaluation; its hash (splitmix64) alone decides."""
    mixed_N = structure_N + np.uint64(0x9E3779B97F4A7C15)
    mixed_N = (mixed_N ^ (mixed_N >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed_N = (mixed_N ^ (mixed_N >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed_N = mixed_N ^ (mixed_N >> np.uint64(31))
    held_out: Bits = mixed_N % np.uint64(HELD_OUT_EVERY) == 0
    return held_out
