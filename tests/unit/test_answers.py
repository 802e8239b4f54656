from __future__ import annotations

import pytest

from rlavr_hpc.answers.knights import puzzle_names, read_roles
from rlavr_hpc.answers.tasks.choice import ChoiceTask
from rlavr_hpc.answers.tasks.knights import KnightsTask
from rlavr_hpc.answers.tasks.math import MathTask
from rlavr_hpc.answers.tasks.registry import check_task, make_tasks
from rlavr_hpc.answers.verifier import Verifier
from rlavr_hpc.answers.vote_clusters import blame
from rlavr_hpc.config.grading import Extract, Thoughts
from rlavr_hpc.errors import UserError
from rlavr_hpc.labels.extract import last_answer_block, last_boxed, stated_answer
from rlavr_hpc.labels.text import accepted_answers, several_answers
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
        (r"\boxed{3}. Remember to use \boxed{}.", "3"),
        (r"\boxed{3} in a \boxed", "3"),
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
    ("text", "answer"),
    [
        ("The answer is 7.", "7"),
        ("the answer is 3. No: The answer is $\\frac{1}{2}$, surely.", "\\frac{1}{2}"),
        ("**Answer:** 12\nbecause of that", "12"),
        ("The final answer is 2.5. I hope so", "2.5"),
        ("The answer is .5", ".5"),
        ("the answer is\n\n$$5$$", "5"),
        (r"The answer is \[ x^2 \].", "x^2"),
        ("nothing is stated", None),
        ("the answer is", None),
        ("\u0130 the answer is 5", None),  # lower() changes its length
    ],
)
def test_the_stated_answer_is_what_the_last_such_phrase_introduces(
    text: str, answer: str | None
) -> None:
    assert stated_answer(text) == answer


def test_only_where_the_config_says_so_an_answer_may_stand_outside_a_box() -> None:
    text = "The answer is 7."
    assert MathTask(where=Extract.boxed).extract(text, "") is None
    assert MathTask().extract(text, "") == "7"
    assert MathTask(where=Extract.stated).extract(text, "") == "7"
    assert MathTask(where=Extract.stated).extract(text + r" \boxed{8}", "") == "8"


@pytest.mark.parametrize(
    ("response", "letter"),
    [
        (r"\boxed{B}", "B"),
        (r"\boxed{(C)}", "C"),
        (r"\boxed{\text{D}}", "D"),
        (r"\boxed{\textbf{(A) } 5}", "A"),
        (r"\boxed{B. because}", "B"),
        ("<answer>E</answer>", "E"),
        ("The answer is (B).", "B"),
        ("**Answer: C**", "C"),
        (r"\boxed{\mathbf{(C)}}", "C"),
        (r"\boxed{\rm C}", "C"),
        (r"\boxed{c}", "C"),
        (r"\boxed{\text{Option D}}", "D"),
        ("The answer is I think C", None),
        ("The answer is A good one: B", None),
        (r"\boxed{Because}", None),
        (r"\boxed{7}", None),
        ("B", None),
    ],
)
def test_a_choice_is_one_letter(response: str, letter: str | None) -> None:
    assert ChoiceTask().extract(response, "") == letter


def test_a_choice_is_judged_by_its_letter() -> None:
    rollouts = [rollout(text, sample=i) for i, text in enumerate([r"\boxed{B}", r"\boxed{(A)}"])]
    voted = Verifier().vote([prompt(task="choice")], [rollouts])[0]
    assert Verifier().grade([voted], {"p1": "(B) seven"})["p1"].correct == (True, False)


@pytest.mark.parametrize(
    ("answers", "clusters"),
    [
        (["1", "2", "1"], ((0, 2), (1,))),
        (["1", "2", "2", "1"], ((0, 3), (1, 2))),
        ([None, "5", None, "5.0"], ((1, 3),)),
        (["0.5", "1/2", r"\frac12"], ((0, 1, 2),)),
        ([None, None], ()),
        (["3", "2", "1"], ((0,), (1,), (2,))),
        (["4"], ((0,),)),
        (["4", "4.0", "8/2"], ((0, 1, 2),)),
        (["28", r"28\%", "0.28"], ((1, 2), (0,))),
        (["28", r"28\%", "30"], ((0, 1), (2,))),
        ([r"28\%", "0.28", "28.0", r"28 \%"], ((0, 1, 3), (2,))),
        (["0.15", r"0.15\%"], ((0,), (1,))),
    ],
)
def test_clusters_are_larger_first_then_first_come(
    answers: list[str | None], clusters: tuple[tuple[int, ...], ...]
) -> None:
    assert group(answers).vote.clusters == clusters


def test_the_vote_counts_unparsable_answers_in_the_ratio() -> None:
    vote = group(["7", None, "7", "8"]).vote
    assert (vote.winner, vote.majority_ratio, vote.unparsable) == ("7", 0.5, 1)
    assert vote.majority == (True, False, True, False)


def test_without_a_parsable_answer_there_is_no_vote() -> None:
    vote = group([None, None]).vote
    assert (vote.winner, vote.majority_ratio, vote.entropy) == (None, 0.0, 0.0)


def test_verdicts_are_right_by_vote_and_by_label() -> None:
    verifier, voted = Verifier(), group(["7", None, "7", "8"])
    assert verifier.against_vote(voted).rewards == (1.0, 0.0, 1.0, 0.0)
    grades = verifier.grade([voted, group(["1"], name="p2")], {"p1": "8.0"})
    assert grades.keys() == {"p1"}
    assert grades["p1"].correct == (False, False, False, True)
    assert grades["p1"].rewards == (0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize("label", [r"\boxed{8}", "$8$", "8", several_answers(["7", "8.0"])])
def test_a_label_may_be_boxed_in_dollars_or_one_of_several(label: str) -> None:
    assert Verifier().grade([group(["8", "9"])], {"p1": label})["p1"].correct == (True, False)


def test_every_answer_is_judged_by_itself() -> None:
    voted = group([r"28\%", "0.28", "3"])
    assert voted.vote.clusters == ((0, 1), (2,))
    assert Verifier().grade([voted], {"p1": "28"})["p1"].correct == (True, False, False)


def test_several_answers_travel_as_one_label() -> None:
    assert accepted_answers(several_answers(["1", "2"])) == ("1", "2")
    assert several_answers(["[1,2]"]) == "[1,2]"
    assert accepted_answers("[1,2]") == ("[1,2]",)
    assert accepted_answers('["a", 2]') == ("a", "2")
    assert accepted_answers('{"answer": 4.50}') == ("4.50",)
    assert accepted_answers('{"points": 4}') == ('{"points": 4}',)
    assert accepted_answers("['4' 'four']") == ("4", "four")
    assert accepted_answers('["broken') == ('["broken',)


def test_a_rollout_given_up_before_neither_votes_nor_earns() -> None:
    from rlavr_hpc.answers.timed_out_answers import answer_id

    rollouts = [rollout(rf"\boxed{{{a}}}", sample=i) for i, a in enumerate("7778")]
    rollouts[0] = rollout(r"say \boxed{7}", sample=0)
    voted = Verifier().vote([prompt()], [rollouts], timed_out={answer_id(rollouts[0])})[0]
    assert voted.vote.clusters == ((1, 2), (3,))
    assert (voted.vote.ungradable, voted.vote.unparsable) == ((0,), 0)
    assert Verifier().against_vote(voted).rewards == (0.0, 1.0, 1.0, 0.0)
    marked = Verifier().grade([voted], {"p1": "7"}, timed_out={answer_id(rollouts[1])})["p1"]
    assert marked.correct == (False, False, False, False)  # identical texts share a mark
    assert marked.ungradable == (1, 2)


def test_the_answer_with_most_open_comparisons_is_blamed() -> None:
    assert blame([(0, 1), (1, 2), (1, 3)], weight=lambda _: 1) == {1}
    assert blame([(0, 1)], weight=lambda i: [9, 1][i]) == {0}
    assert blame([(0, 1)], weight=lambda _: 1) == {1}
    assert blame([], weight=lambda _: 1) == set()


def test_names_come_from_the_puzzle() -> None:
    assert puzzle_names(PUZZLE) == ("Ann", "Bob", "Cy")
    assert puzzle_names("no islanders here") == ()


@pytest.mark.parametrize(
    ("answer", "roles"),
    [
        ("(1) Ann is a knight\n(2) Bob is a knave\n(3) Cy is a knight", "knight knave knight"),
        ("Cy is a KNAVE, Bob: knight, ann = knave", "knave knight knave"),
        ("**Ann** is a **knight**; Bob -> knave; Cy (knight)", "knight knave knight"),
        ("Ann is the knight, Bob - knave, Cy: knave", "knight knave knave"),
        ("Ann is a knight, Bob is a knave", None),
        ("Ann is a knight, Ann is a knave, Bob is a knave, Cy is a knave", None),
        ("Joann is a knight, Bob is a knave, Cy is a knave", None),
    ],
)
def test_roles_are_read_for_everyone_or_not_at_all(answer: str, roles: str | None) -> None:
    names = ("Ann", "Bob", "Cy")
    expected = roles and ";".join(f"{n}={r}" for n, r in zip(names, roles.split(), strict=True))
    assert read_roles(answer, names) == expected


def test_where_the_puzzle_names_nobody_the_answer_does() -> None:
    assert read_roles("Zoe is a knight, Al is a Knave.", ()) == "Al=knave;Zoe=knight"
    assert read_roles("Zoe is a knight, Zoe is a knave", ()) is None
    assert read_roles("nobody is anything", ()) is None


def test_knights_rewards_grade_format_and_answer() -> None:
    task = KnightsTask()
    truth = "Ann is a knight, Bob is a knave, Cy is a knight"
    right = task.extract(f"<answer>{truth}</answer>", PUZZLE)
    wrong = task.extract(
        f"<answer>{truth.replace('Cy is a knight', 'Cy is a knave')}</answer>", PUZZLE
    )
    assert task.accepted(truth, PUZZLE) == (right,)
    assert wrong is not None
    assert wrong != right
    form = "<answer>x</answer>"
    assert task.reward(form, right, correct=True) == 3.0
    assert task.reward(form, wrong, correct=False) == -0.5
    assert task.reward(form, None, correct=False) == -1.0
    assert task.reward("no block", None, correct=False) == -3.0


def test_a_draft_of_knights_counts_only_where_thoughts_are_read() -> None:
    truth = "Ann is a knight, Bob is a knave, Cy is a knight"
    cut = f"<think>Perhaps <answer>{truth}</answer>, let me"
    skipping, reading = KnightsTask(), KnightsTask(thoughts=Thoughts.read)
    assert skipping.extract(cut, PUZZLE) is None
    assert reading.extract(cut, PUZZLE) == reading.extract(f"<answer>{truth}</answer>", PUZZLE)
    assert skipping.reward(cut, None, correct=False) == -3.0
    assert reading.reward(cut, None, correct=False) == -1.0
    goes_on = f"Perhaps <answer>{truth}</answer>, let me"
    assert skipping.reward(goes_on, None, correct=False, question=f"{PUZZLE}\n<think>\n") == -3.0
    tasks = make_tasks(Extract.auto, Thoughts.read)
    assert tasks["knights"].extract(cut, PUZZLE) is not None


def test_a_knights_group_votes_by_its_roles() -> None:
    answers = ["Ann is a knight, Bob is a knave, Cy is a knave", "nonsense"]
    rollouts = [rollout(f"<answer>{a}</answer>", sample=i) for i, a in enumerate(answers)]
    voted = Verifier().vote([prompt(text=PUZZLE, task="knights")], [rollouts])[0]
    assert voted.vote.clusters == ((0,),)
    assert Verifier().against_vote(voted).rewards == (3.0, -1.0)


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(UserError, match="choice, knights, math"):
        check_task("poetry")
