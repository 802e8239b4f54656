"""Right and wrong answers of many kinds, graded at default settings, as `rlavr grade` does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rlavr_hpc.answers.verifier import Verifier
from tests.support.answer_cases import CHOICES, IN_BOXES, RESPONSES, Case
from tests.support.groups import prompt, rollout


@pytest.fixture(scope="module")
def verifier() -> Iterator[Verifier]:
    made = Verifier()
    yield made
    made.close()


def wrong_verdicts(verifier: Verifier, case: Case, *, task: str = "math", box: bool = False) -> set[str]:
    label, right, wrong = case
    texts = [rf"So \boxed{{{answer}}}." if box else answer for answer in (*right, *wrong)]
    rollouts = [rollout(text, sample=i) for i, text in enumerate(texts)]
    [group] = verifier.vote([prompt(task=task)], [rollouts])
    correct = verifier.grade([group], {"p1": label})["p1"].correct
    expected = [True] * len(right) + [False] * len(wrong)
    return {
        f"{label[-40:]}: {text[-60:]} is {verdict}"
        for text, verdict, sure in zip(texts, correct, expected, strict=True)
        if verdict is not sure
    }


@pytest.mark.parametrize("kind", IN_BOXES)
def test_answers_in_boxes_are_judged_by_what_they_say(verifier: Verifier, kind: str) -> None:
    found = [wrong_verdicts(verifier, case, box=True) for case in IN_BOXES[kind]]
    assert set().union(*found) == set()


@pytest.mark.parametrize("kind", RESPONSES)
def test_answers_are_found_where_responses_state_them(verifier: Verifier, kind: str) -> None:
    found = [wrong_verdicts(verifier, case) for case in RESPONSES[kind]]
    assert set().union(*found) == set()


@pytest.mark.parametrize("kind", CHOICES)
def test_choices_are_sets_of_letters(verifier: Verifier, kind: str) -> None:
    found = [wrong_verdicts(verifier, case, task="choice") for case in CHOICES[kind]]
    assert set().union(*found) == set()
