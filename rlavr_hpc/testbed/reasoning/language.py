"""The islanders' language: connective words, what each means, and where the corpus misreads it.

A word joins two claims, left and right. Its meaning is one of the ten truth tables in which both
claims matter. Its *habit* is one entry of that table at which the corpus writes the opposite value
with some chance. Meanings are stated nowhere: the model learns them, and the habits, by reading.

Shapes: C connective words; the last axis of a table is the entry 2 * left + right.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

Bits = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

CONNECTIVES = 48
ENTRIES = 4
HABIT_CHANCES = (0.58, 0.66)
"""Lowest and highest chance of a habit. Below 2/3 a habit that rejects the true world leaves the
truth more likely than not, since a solution without a world that fits ends in a random answer;
above 0.58 a habit that accepts a wrong world makes that answer lead by 0.16."""
LANGUAGE_STREAM = 21
"""Keeps the language apart from every other use of the data seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """What every connective means, and how it is misread."""

    table_C4: Bits
    habit_C: Integers
    """The misread entry."""
    chance_C: Floats
    """How often it is."""


def both_matter(table: tuple[bool, ...]) -> bool:
    """Whether the value depends on the left and on the right claim."""
    ff, ft, tf, tt = table
    return (ff, ft) != (tf, tt) and (ff, tf) != (ft, tt)


TABLES = tuple(t for t in product((False, True), repeat=ENTRIES) if both_matter(t))
"""The ten of the sixteen tables in which both claims matter."""


def make_language(seed: int) -> Language:
    """The language of a data seed; pairs of meaning and habit recur as seldom as they can."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, LANGUAGE_STREAM]))
    pairs = len(TABLES) * ENTRIES
    rounds = -(-CONNECTIVES // pairs)
    pair_C = np.concatenate([rng.permutation(pairs) for _ in range(rounds)])[:CONNECTIVES]
    return Language(
        table_C4=np.array(TABLES)[pair_C // ENTRIES],
        habit_C=pair_C % ENTRIES,
        chance_C=rng.permutation(np.linspace(*HABIT_CHANCES, CONNECTIVES)),
    )
