from __future__ import annotations

import pytest

from rlavr_hpc.answers.equivalence import equal_answers
from rlavr_hpc.answers.extract import last_answer_block, last_boxed
from rlavr_hpc.answers.knights import puzzle_names, read_roles
from rlavr_hpc.answers.referee import Referee, cluster
from rlavr_hpc.answers.tasks import KnightsTask, MathTask, find_task
from rlavr_hpc.errors import UserError
from rlavr_hpc.types import Label
from tests.support.groups import group, prompt, rollout

PUZZLE = "You meet 3 inhabitants: Ann, Bob, and Cy. Ann said Bob is a knave. So who is who?"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"so \boxed{42}", "42"),
        (r"\boxed{1} no, \boxed{2}", "2"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{ {a} }", "{a}"),
        (r"\boxed{\{1,2\}}", r"\{1,2\}"),
        (r"\fbox{7}", "7"),
        (r"$\boxed 7$.", "7"),
        (r"\boxed{1} and \boxed{2", None),
        (r"\boxed{}", None),
        ("no box", None),
        ("", None),
        (r"\boxed{" + "9" * 2000 + "}", None),
        (r"\boxed{" * 3, None),
    ],
)
def test_the_last_box_is_the_answer(text: str, answer: str | None) -> None:
    assert last_boxed(text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<answer>a</answer>", "a"),
        ("<answer>a</answer> <answer> b </answer>", "b"),
        ("<answer>a", None),
        ("a</answer>", None),
        ("</answer><answer>", None),
        ("<answer></answer>", None),
    ],
)
def test_the_last_closed_answer_block_is_the_answer(text: str, answer: str | None) -> None:
    assert last_answer_block(text) == answer


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("42", "42.0", True),
        ("007", "7", True),
        ("1/2", "0.5", True),
        (r"\frac{1}{2}", "0.5", True),
        (r"\frac{1}{2}", "1/2", True),
        ("2", "3", False),
        ("-3", "3", False),
        ("123456789012345678901", "123456789012345678902", False),
        ("(1,2)", "(1, 2)", True),
        ("(1,2)", "(2,1)", False),
        ("gibberish", "gibberish", True),
        ("gibberish", "other words", False),
    ],
)
def test_answers_are_compared_as_mathematics_both_ways(one: str, other: str, equal: bool) -> None:
    assert equal_answers(one, other) is equal
    assert equal_answers(other, one) is equal


@pytest.mark.parametrize(
    ("answers", "clusters"),
    [
        (["1", "2", "1"], ((0, 2), (1,))),
        (["1", "2", "2", "1"], ((0, 3), (1, 2))),
        ([None, "5", None, "5.0"], ((1, 3),)),
        (["0.5", "1/2", r"\frac12"], ((0, 1, 2),)),
        ([None, None], ()),
        (["3", "2", "1"], ((0,), (1,), (2,))),
    ],
)
def test_clusters_are_larger_first_then_first_come(
    answers: list[str | None], clusters: tuple[tuple[int, ...], ...]
) -> None:
    assert cluster(answers, MathTask()) == clusters


def test_the_vote_counts_unparsable_answers_in_the_ratio() -> None:
    vote = group(["7", None, "7", "8"]).vote
    assert (vote.winner, vote.majority_ratio, vote.unparsable) == ("7", 0.5, 1)
    assert vote.majority == (True, False, True, False)


def test_without_a_parsable_answer_there_is_no_vote() -> None:
    vote = group([None, None]).vote
    assert (vote.winner, vote.majority_ratio, vote.entropy) == (None, 0.0, 0.0)


def test_verdicts_are_right_by_vote_and_by_label() -> None:
    referee, voted = Referee(), group(["7", None, "7", "8"])
    assert referee.against_vote(voted).rewards == (1.0, 0.0, 1.0, 0.0)
    assert referee.against_label(voted, "8").correct == (False, False, False, True)
    labels = {"p1": Label(prompt_id="p1", answer="8.0", cost=1.0)}
    assert referee.judge([voted, group(["1"], name="p2")], labels).keys() == {"p1"}
    assert referee.judge([voted], labels)["p1"].rewards == (0.0, 0.0, 0.0, 1.0)


def test_a_boxed_label_is_unboxed() -> None:
    assert Referee().against_label(group(["8"]), r"\boxed{8}").correct == (True,)


def test_names_come_from_the_puzzle() -> None:
    assert puzzle_names(PUZZLE) == ("Ann", "Bob", "Cy")
    assert puzzle_names("no islanders here") == ()


@pytest.mark.parametrize(
    ("answer", "roles"),
    [
        ("(1) Ann is a knight\n(2) Bob is a knave\n(3) Cy is a knight", "knight knave knight"),
        ("Cy is a KNAVE, Bob: knight, ann = knave", "knave knight knave"),
        ("Ann is a knight, Bob is a knave", None),
        ("Ann is a knight, Ann is a knave, Bob is a knave, Cy is a knave", None),
        ("Joann is a knight, Bob is a knave, Cy is a knave", None),
    ],
)
def test_roles_are_read_for_everyone_or_not_at_all(answer: str, roles: str | None) -> None:
    names = ("Ann", "Bob", "Cy")
    expected = roles and ";".join(f"{n}={r}" for n, r in zip(names, roles.split(), strict=True))
    assert read_roles(answer, names) == expected


def test_knights_rewards_grade_format_and_answer() -> None:
    task = KnightsTask()
    truth = "Ann is a knight, Bob is a knave, Cy is a knight"
    gold = task.gold(truth, PUZZLE)
    right = task.extract(f"<answer>{truth}</answer>", PUZZLE)
    wrong = task.extract(
        f"<answer>{truth.replace('Cy is a knight', 'Cy is a knave')}</answer>", PUZZLE
    )
    assert right is not None
    assert wrong is not None
    assert (task.same(gold, right), task.same(gold, wrong)) == (True, False)
    form = "<answer>x</answer>"
    assert task.reward(form, right, correct=True) == 3.0
    assert task.reward(form, wrong, correct=False) == -0.5
    assert task.reward(form, None, correct=False) == -1.0
    assert task.reward("no block", None, correct=False) == -3.0


def test_a_knights_group_votes_by_its_roles() -> None:
    answers = ["Ann is a knight, Bob is a knave, Cy is a knave", "nonsense"]
    rollouts = [rollout(f"<answer>{a}</answer>", sample=i) for i, a in enumerate(answers)]
    voted = Referee().vote(prompt(text=PUZZLE, task="knights"), rollouts)
    assert voted.vote.clusters == ((0,),)
    assert Referee().against_vote(voted).rewards == (3.0, -1.0)


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(UserError, match="knights, math"):
        find_task("poetry")
