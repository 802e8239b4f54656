"""The task `text`: what is equal, and what a label accepts."""

from __future__ import annotations

import json

import pytest

from rlavr_hpc.answers.tasks.text import TextTask
from rlavr_hpc.answers.verifier import Verifier
from rlavr_hpc.config.task import TaskConfig
from rlavr_hpc.errors import UserError
from tests.support.groups import prompt, rollout

TARGET = "rlavr_hpc.answers.tasks.text:TextTask"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Paris", "paris"),
        ("  New \n York ", "new york"),
        ("Paris.", "paris"),
        ('"The Hague"', "\u201cthe hague\u201d"),
        ("the Beatles", "Beatles"),
        ("An apple", "apple"),
        ("**Paris**", "Paris"),
        (r"\text{Paris}", "Paris"),
        ("(Paris)", "Paris"),
        ("\uff30\uff41\uff52\uff49\uff53", "Paris"),  # full width
        ("\ufb01nal", "final"),  # a ligature
        ("rock\u2019n\u2019roll", "rock'n'roll"),
        ("1914\u20131918", "1914-1918"),
        ("STRASSE", "stra\u00dfe"),
        ("5.0", "5"),
        ("1,500", "1500"),
        ("\u22125", "-5"),
        ("5.", "5"),
        ("2e3", "2000"),
        (".5", "0.5"),
    ],
)
def test_differences_of_writing_do_not_count(one: str, other: str) -> None:
    assert TextTask().equal(one, other)
    assert TextTask().equal(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Paris", "Rome"),
        ("More", "Rome"),
        ("5", "-5"),
        ("5", "5%"),
        ("5", "5.0001"),
        ("12345678901234567890", "12345678901234567891"),
        ("vitamin A", "vitamin"),
        ("A", "The"),
        ("1,50", "150"),
        ("C", "C#"),
        ("?", "!"),
        ("f(x)", "f(x"),
        ("1e999", "2e999"),
    ],
)
def test_other_differences_count(one: str, other: str) -> None:
    assert not TextTask().equal(one, other)


def test_numbers_within_the_tolerance_are_equal_as_a_share_of_the_label() -> None:
    task = TextTask(tolerance=0.1)
    assert [task.grade(a, "100", "") for a in ("90", "110", "89.9", "110.1")] == [1, 1, 0, 0]
    assert [task.grade(a, "-2", "") for a in ("-2.2", "-2.21", "2")] == [1, 0, 0]
    assert task.grade("0.001", "0", "") == 0
    assert not task.equal("100 m", "101 m")


def test_a_label_may_list_several_accepted_answers() -> None:
    label = json.dumps(["USA", "United States", "the States"])
    answers = ("usa", "States", "united  states", "America")
    assert [TextTask().grade(answer, label, "") for answer in answers] == [1, 1, 1, 0]


def test_what_is_ignored_can_be_chosen() -> None:
    assert not TextTask(ignore_case=False).equal("Paris", "paris")
    assert not TextTask(ignore_articles=False).equal("the end", "end")
    assert not TextTask(ignore_punctuation=False).equal("end.", "end")


@pytest.mark.parametrize("tolerance", [-0.1, 1.0])
def test_a_tolerance_is_a_share(tolerance: float) -> None:
    with pytest.raises(UserError, match=rf"tolerance={tolerance} is outside \[0, 1\)"):
        Verifier(task=TaskConfig(name="text", target=TARGET, settings={"tolerance": tolerance}))


def test_votes_and_grades_of_words_need_no_grader_process() -> None:
    texts = [r"\boxed{Paris}", "The answer is paris.", "<answer>Rome</answer>", "who knows"]
    verifier = Verifier()
    rollouts = [rollout(text, sample=i) for i, text in enumerate(texts)]
    [voted] = verifier.vote([prompt(task="text")], [rollouts])
    assert voted.vote.answers == ("Paris", "paris", "Rome", None)
    assert voted.vote.clusters == ((0, 1), (2,))
    grade = verifier.grade([voted], {"p1": '["PARIS", "Lutetia"]'})["p1"]
    assert grade.correct == (True, True, False, False)
    assert grade.rewards == (1.0, 1.0, 0.0, 0.0)
    assert verifier.against_vote(voted).rewards == (1.0, 1.0, 0.0, 0.0)
    assert verifier.own["text"].pool.pids == []
