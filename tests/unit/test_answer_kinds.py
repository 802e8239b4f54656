"""Right and wrong answers of many kinds, graded at default settings, as `rlavr grade` does.

`tests/data/answer_kinds.jsonl` has one label a line, with answers that are right and wrong by it:
in a box, as whole responses, or to multiple choice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rlavr_hpc.answers.tasks.math import MathTask
from rlavr_hpc.answers.verifier import Verifier
from rlavr_hpc.config.grading import Extract, Thoughts
from tests.support.groups import prompt, rollout

CASES = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "data/answer_kinds.jsonl")
    .read_text(encoding="utf-8")
    .splitlines()
]
KINDS = list(dict.fromkeys(case["kind"] for case in CASES))


@pytest.fixture(scope="module")
def verifier() -> Iterator[Verifier]:
    made = Verifier()
    yield made
    made.close()


def wrong_verdicts(verifier: Verifier, case: dict[str, Any]) -> list[str]:
    answers = [*case["right"], *case["wrong"]]
    texts = [rf"So \boxed{{{a}}}." if case["place"] == "box" else a for a in answers]
    rollouts = [rollout(text, sample=i) for i, text in enumerate(texts)]
    task = "choice" if case["place"] == "choice" else "math"
    [group] = verifier.vote([prompt(task=task)], [rollouts])
    correct = verifier.grade([group], {"p1": case["label"]})["p1"].correct
    return [
        f"label {case['label'][-40:]}, answer {text[-60:]}: {verdict}"
        for i, (text, verdict) in enumerate(zip(texts, correct, strict=True))
        if verdict is not (i < len(case["right"]))
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_right_or_wrong_by_what_they_say(verifier: Verifier, kind: str) -> None:
    cases = [case for case in CASES if case["kind"] == kind]
    assert [wrong for case in cases for wrong in wrong_verdicts(verifier, case)] == []


def test_a_draft_is_an_answer_only_where_thoughts_are_read() -> None:
    draft = [rollout(r"<think>Perhaps \boxed{7}, let me", sample=0)]
    skipping, reading = Verifier(), Verifier(thoughts=Thoughts.read)
    assert skipping.vote([prompt()], [draft])[0].vote.winner is None
    assert reading.vote([prompt()], [draft])[0].vote.winner == "7"


def test_a_thought_that_the_prompt_opens_is_one_until_it_is_closed() -> None:
    task = MathTask()
    opened = "How many?\n<think>\n"
    assert task.extract(r"Maybe \boxed{7}", opened) is None
    assert task.extract(r"Maybe \boxed{7} no</think> \boxed{8}", opened) == "8"
    assert task.extract(r"Maybe \boxed{7}", "How many?") == "7"


@pytest.mark.parametrize(
    ("where", "answer"),
    [
        (Extract.auto, "4"),
        (Extract.boxed, "1"),
        (Extract.block, "2"),
        (Extract.hashes, "3"),
        (Extract.line, "4"),
        (Extract.stated, "1"),
    ],
)
def test_each_place_reads_its_own_mark(where: Extract, answer: str) -> None:
    response = "\\boxed{1}\n<answer>2</answer>\n#### 3\nAnswer: 4\nThe end."
    assert MathTask(where=where).extract(response, "") == answer


def test_the_only_place_that_was_asked_for_is_read() -> None:
    for where in (Extract.block, Extract.hashes, Extract.line):
        assert MathTask(where=where).extract(r"The answer is \boxed{1}.", "") is None


def test_a_calculation_equals_its_value_unless_expressions_are_not_evaluated() -> None:
    answers = ["41+6", "47", "41 + 6", r"4.7 \times 10^{1}", r"\frac{94}{2}"]
    rollouts = [rollout(rf"\boxed{{{a}}}", sample=i) for i, a in enumerate(answers)]
    [group] = Verifier().vote([prompt()], [rollouts])
    assert group.vote.clusters == ((0, 1, 2, 3, 4),)
    strict = Verifier(evaluate=False)
    [group] = strict.vote([prompt()], [rollouts])
    assert group.vote.clusters == ((1, 3, 4), (0, 2))
    assert strict.grade([group], {"p1": "47"})["p1"].correct == (False, True, False, True, True)


LONG = "+".join(["1"] * 47) + 80 * "+0"


CALCULATIONS = [
    LONG,
    "3!+41",
    "|41|+6",
    r"41\cdot 1 + 6\cos 0",
    r"94 \div 2",
    "94 \u00f7 2",
    r"\binom{5}{2}+37",
    "47(1)",
    r"\left(41\right)+\left(6\right)",
]


def test_no_calculation_equals_its_value_where_none_is_evaluated(verifier: Verifier) -> None:
    answers = [
        *CALCULATIONS,
        "47",
        r"1+\sqrt[3]{2}",
        r"\sqrt[3]{2}+1",
        r"1+\sqrt{2}",
        r"\sqrt{2}+1",
    ]
    rollouts = [rollout(rf"\boxed{{{answer}}}", sample=i) for i, answer in enumerate(answers)]
    of_value = tuple(range(len(CALCULATIONS) + 1))
    others = (of_value[-1] + 1, of_value[-1] + 2), (of_value[-1] + 3, of_value[-1] + 4)
    [group] = verifier.vote([prompt()], [rollouts])
    assert group.vote.clusters == (of_value, *others)
    strict = Verifier(evaluate=False)
    [group] = strict.vote([prompt()], [rollouts])
    right = strict.grade([group], {"p1": "47"})["p1"].correct
    strict.close()
    assert [i for i, correct in enumerate(right) if correct] == [len(CALCULATIONS)]
    assert set(others) < set(group.vote.clusters), "these have no shorter form"


def test_the_majority_says_true_however_it_is_written() -> None:
    answers = ["True", "True", "true", r"\text{true}", "False", "false", r"\text{False}"]
    rollouts = [rollout(rf"\boxed{{{a}}}", sample=i) for i, a in enumerate(answers)]
    [group] = Verifier().vote([prompt()], [rollouts])
    assert group.vote.clusters == ((0, 1, 2, 3), (4, 5, 6))
    assert group.vote.winner == "True"


def test_names_of_the_same_letters_are_apart_in_the_vote() -> None:
    rollouts = [rollout(rf"\boxed{{{a}}}", sample=i) for i, a in enumerate(["QRP", "PQR", "RPQ"])]
    [group] = Verifier().vote([prompt()], [rollouts])
    assert group.vote.clusters == ((0,), (1,), (2,))
