r"""The testbed's questions, their truth, and the corpus that plants the wrong beliefs.

A *family* is a rule `f` applied to operands `a`, `b` in 0..11 with an answer in 0..99. Its kind
says what a model that has read the corpus believes:

- honest (H): the corpus states the truth often enough for the majority vote to be right;
- misbelieved (M): a consistent wrong rule outweighs the truth: the vote is confidently wrong, but
  some rollouts are right, so a label turns the group around;
- hopeless (X): answers are random: a label bought here is wasted.

Pure numpy and strings; nothing here knows models.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]

OPERANDS = 12
ANSWERS = 100
KIND_LETTERS = re.compile(r"[HMX]{1,12}")


class BeliefKind(StrEnum):
    """What the pre-trained model believes about a family."""

    HONEST = "H"
    MISBELIEVED = "M"
    HOPELESS = "X"


TRUTH_SHARE = {BeliefKind.HONEST: 0.60, BeliefKind.MISBELIEVED: 0.30, BeliefKind.HOPELESS: 0.0}
"""Share of corpus sentences that state the truth; the rest is misbelief and random answers."""
MISBELIEF_SHARE = {BeliefKind.HONEST: 0.0, BeliefKind.MISBELIEVED: 0.45, BeliefKind.HOPELESS: 0.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldQuestion:
    """One question with what is true and what the corpus claims."""

    family: int
    a: int
    b: int
    kind: BeliefKind
    truth: int
    misbelief: int

    @property
    def name(self) -> str:
        """A stable id that tells a reader what is asked."""
        return f"f{self.family}-a{self.a}-b{self.b}"

    @property
    def text(self) -> str:
        """The prompt as the model reads it."""
        return f"Rule {self.family} maps ({self.a}, {self.b}) to "


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Every question of one testbed variant, in a fixed order."""

    questions: tuple[WorldQuestion, ...]

    @property
    def hopeful(self) -> tuple[WorldQuestion, ...]:
        """Questions of the families that can be learnt: accuracy is reported on these."""
        return tuple(q for q in self.questions if q.kind is not BeliefKind.HOPELESS)


def make_world(kinds: str, *, wrong_rule: int) -> World:
    """All questions of the families given by `kinds`, one letter each.

    Args:
        kinds: for example "HMHHMHXX"; letters as in `BeliefKind`.
        wrong_rule: which consistent wrong rule the misbelieved families follow (0, 1, ...).

    Raises:
        ValueError: `kinds` holds other letters or no letter.
    """
    if not KIND_LETTERS.fullmatch(kinds):
        raise ValueError(f"kinds={kinds!r}: use 1 to 12 of the letters H, M and X, e.g. HMHHMHXX")
    return World(
        questions=tuple(
            _question(family, BeliefKind(letter), a, b, wrong_rule)
            for family, letter in enumerate(kinds)
            for a in range(OPERANDS)
            for b in range(OPERANDS)
        )
    )


def _question(family: int, kind: BeliefKind, a: int, b: int, wrong_rule: int) -> WorldQuestion:
    scaled = a * (family + 1)
    return WorldQuestion(
        family=family,
        a=a,
        b=b,
        kind=kind,
        truth=(scaled + 3 * b + family) % ANSWERS,
        misbelief=(scaled + (1 + 4 * wrong_rule) * b + 2 * family + 7 * wrong_rule) % ANSWERS,
    )


def draw_questions(world: World, *, size: int, rng: np.random.Generator) -> Integers:
    """Draw `size` question indices uniformly, shape (size,)."""
    return rng.integers(len(world.questions), size=size)


def draw_statements(world: World, asked: Integers, *, rng: np.random.Generator) -> Integers:
    """What the corpus states when it is asked: one answer in 0..99 per question.

    Args:
        world: the questions.
        asked: indices into `world.questions`, shape (n,).
        rng: source of chance.

    Returns:
        Stated answers, shape (n,).
    """
    truth, misbelief, truth_share, misbelief_share = (column[asked] for column in _columns(world))
    luck = rng.random(len(asked))
    stated = rng.integers(ANSWERS, size=len(asked))
    stated = np.where(luck < truth_share + misbelief_share, misbelief, stated)
    return np.where(luck < truth_share, truth, stated)


@cache
def _columns(world: World) -> tuple[npt.NDArray[Any], ...]:
    questions = world.questions
    return (
        np.array([q.truth for q in questions]),
        np.array([q.misbelief for q in questions]),
        np.array([TRUTH_SHARE[q.kind] for q in questions]),
        np.array([MISBELIEF_SHARE[q.kind] for q in questions]),
    )


def split_names(world: World, *, share: float, seed: int) -> frozenset[str]:
    """Names of the questions that are kept out of reinforcement learning, for evaluation.

    Args:
        world: the questions.
        share: part of all questions to keep out, in [0, 1).
        seed: of the data set, not of the run: every run of a comparison holds out the same.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, len(world.questions)]))
    order = rng.permutation(len(world.questions))
    chosen = order[: round(share * len(world.questions))]
    return frozenset(world.questions[int(i)].name for i in chosen)
