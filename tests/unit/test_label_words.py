"""Which texts from outside may be labels: values and names, no prose and no excuse."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rlavr_hpc.answers.label_rules import PROSE, LabelRules
from rlavr_hpc.answers.verifier import Verifier
from rlavr_hpc.commands.label_preview import read_label
from rlavr_hpc.types import Question

NOTHING = "it says that there is no answer"


@pytest.fixture(scope="module")
def verifier() -> Iterator[Verifier]:
    verifier = Verifier(workers=1)
    yield verifier
    verifier.close()


def asked(task: str) -> Question:
    return Question(id="q", messages=(), text="2 + 2 = ", task=task)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("I don't know", NOTHING),
        ("I have no idea", NOTHING),
        ("not sure", NOTHING),
        ("?", NOTHING),
        ("\u6211\u4e0d\u77e5\u9053", NOTHING),
        ("As an AI, I answer nothing", NOTHING),
        ("%%% nothing", PROSE),
        ("see the book", PROSE),
        ("the sky is blue", PROSE),
    ],
)
def test_prose_and_excuses_are_no_label_and_the_desk_says_so_before(
    text: str, why: str, verifier: Verifier
) -> None:
    assert LabelRules(verifier=verifier).fault(asked("math"), text) == why
    assert read_label(verifier, "math", "2 + 2 = ", text).problem


@pytest.mark.parametrize(
    "text",
    [
        "42",
        r"\frac{1}{2}",
        "x^2+1",
        "[1,2)",
        "5 cm",
        "Monday",
        "New York",
        "2024-05-01",
        "F2",
        "even",
        r"\text{twice as old}",
        "no real solution",
        "cannot be determined",
    ],
)
def test_values_names_and_phrases_of_mathematics_are_labels(text: str, verifier: Verifier) -> None:
    assert LabelRules(verifier=verifier).fault(asked("math"), text) == ""
    assert read_label(verifier, "math", "2 + 2 = ", text).problem == ""


def test_where_words_are_the_answers_prose_is_a_label_and_an_excuse_is_none(
    verifier: Verifier,
) -> None:
    rules = LabelRules(verifier=verifier)
    assert rules.fault(asked("text"), "the man who was Thursday") == ""
    assert rules.fault(asked("text"), "Sorry seems to be the hardest word") == ""
    assert rules.fault(asked("text"), "I don't know, sorry.") == NOTHING
