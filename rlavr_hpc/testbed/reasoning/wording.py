"""How puzzles, answers and the words of a solution are written.

A word with the blank behind it is one token, so a text is its words, each with a blank.
"""

from __future__ import annotations

from collections.abc import Iterable

from rlavr_hpc.testbed.reasoning.language import CONNECTIVES
from rlavr_hpc.testbed.reasoning.puzzles import PLAIN, Puzzles

NAMES = ("Ada", "Ben", "Cal", "Dan")
ROLES = ("knight", "knave")
VALUES = ("F", "T")
NO, YES, GUESS = "no", "yes", "guess"
ANSWER, ANSWER_END = "<answer>", "</answer>"
PAD, END, BLANK = "<pad>", "<end>", ""
CONNECTIVE_WORDS = tuple(f"c{number:02d}" for number in range(CONNECTIVES))
VOCABULARY = (
    *(PAD, END, BLANK),
    *NAMES,
    *ROLES,
    *VALUES,
    *(NO, YES, GUESS, ANSWER, ANSWER_END),
    *("says", "is", "not", ".", "first", "who", "?", ":", "="),
    *CONNECTIVE_WORDS,
)
"""Every word there is; a word's place is its token's number. The blank alone occurs nowhere."""


def text_of(words: Iterable[str]) -> str:
    """The words as a text, each with its blank."""
    return "".join(f"{word} " for word in words)


def roles_of(world: int, people: int) -> list[str]:
    """Everybody's role in a world, in the order of `NAMES`."""
    return [ROLES[(world >> (people - 1 - person)) & 1] for person in range(people)]


def puzzle_words(puzzles: Puzzles, index: int) -> list[str]:
    """One puzzle as the model reads it.

    Two people's puzzle names the world that is tried first; four people's is never tried.
    """
    people = puzzles.people
    words: list[str] = []
    for speaker in range(people):
        words += [NAMES[speaker], "says", *_claim(puzzles, index, speaker, 0)]
        word = int(puzzles.word_NP[index, speaker])
        if word != PLAIN:
            words += [CONNECTIVE_WORDS[word], *_claim(puzzles, index, speaker, 1)]
        words.append(".")
    if people == 2:
        words += ["first", *roles_of(int(puzzles.first_N[index]), people), "."]
    return [*words, "who", "?"]


def _claim(puzzles: Puzzles, index: int, speaker: int, side: int) -> list[str]:
    about = int(puzzles.about_NP2[index, speaker, side])
    negation = ["not"] if puzzles.not_NP2[index, speaker, side] else []
    role = ROLES[int(puzzles.knave_NP2[index, speaker, side])]
    return [NAMES[about], "is", *negation, role]


def answer_words(world: int, people: int) -> list[str]:
    """What stands between `<answer>` and `</answer>`: the form that task `knights` reads."""
    roles = roles_of(world, people)
    return [word for name, role in zip(NAMES, roles, strict=False) for word in (name, "is", role)]
