from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from itertools import islice, product

import numpy as np
import pyarrow.parquet as pq
import pytest

from rlavr_hpc.answers.knights import puzzle_names, read_roles
from rlavr_hpc.answers.tasks.knights import KnightsTask
from rlavr_hpc.config.data import DataConfig, DataKind
from rlavr_hpc.data.dataset import Dataset
from rlavr_hpc.data.load_split import load_split
from rlavr_hpc.data.puzzles import draw_statement, make_dataset, stream
from rlavr_hpc.data.statements import (
    Connective,
    Is,
    Joined,
    Not,
    Statement,
    all_worlds,
    say,
    solutions,
)
from rlavr_hpc.errors import UserError
from tests.support.commands import REPOSITORY

SHARED = REPOSITORY.parent / "shared" / "data"


class Reader:
    """Reads a claim's words and decides whether it is true; knows nothing of the generator."""

    def __init__(self, claim: str, knights: Mapping[str, bool]) -> None:
        self.rest = claim
        self.knights = knights

    def truth(self) -> bool:
        value = self.whole()
        assert self.rest == "", self.rest
        return value

    def whole(self) -> bool:
        if self.takes("it is not true that"):
            return not self.part()
        if self.takes("if"):
            condition = self.part()
            assert self.takes("then")
            return self.part() or not condition
        left = self.part()
        if self.takes("if and only if"):
            return self.part() is left
        if self.takes("and"):
            return self.part() and left
        return self.part() or left if self.takes("or") else left

    def part(self) -> bool:
        for word, joint, decide in (("both", "and", all), ("either", "or", any)):
            if self.takes(word):
                left = self.part()
                assert self.takes(joint)
                return decide([left, self.part()])
        found = re.match(r"(\w+) is (not )?a (knight|knave)\b *", self.rest)
        assert found, self.rest
        self.rest = self.rest[found.end() :]
        claimed = self.knights[found[1]] is (found[3] == "knight")
        return not claimed if found[2] else claimed

    def takes(self, words: str) -> bool:
        found = re.match(rf"{words}\b *", self.rest, flags=re.IGNORECASE)
        self.rest = self.rest[found.end() :] if found else self.rest
        return bool(found)


def claims(text: str) -> dict[str, str]:
    """Who says what, read from a puzzle's text: a claim stands between quotation marks."""
    pieces = text.split("\n\n")[0].split('"')
    names = puzzle_names(text)
    around = " ".join(pieces[0::2]).split(".", 2)[2]
    assert tuple(re.findall("|".join(names), around)) == names
    return dict(zip(names, (piece.rstrip(",.") for piece in pieces[1::2]), strict=True))


def answers_by_brute_force(text: str) -> list[str]:
    """Every consistent assignment, in the verifier's canonical form."""
    said = claims(text)
    found = []
    for roles in product([True, False], repeat=len(said)):
        knights = dict(zip(said, roles, strict=True))
        if all(Reader(claim, knights).truth() is knights[name] for name, claim in said.items()):
            found.append(knights)
    return [
        ";".join(f"{name}={'knight' if is_knight else 'knave'}" for name, is_knight in one.items())
        for one in found
    ]


def structures(data: Dataset) -> list[tuple[str, ...]]:
    """Each puzzle's claims with numbers for names: the puzzle whatever its people are called."""
    made = []
    for question in data.questions:
        said, order = claims(question.text), puzzle_names(question.text)
        pattern = re.compile("|".join(order))
        numbered = (pattern.sub(lambda m: str(order.index(m[0])), c) for c in said.values())  # noqa: B023
        made.append(tuple(claim.lower() for claim in numbered))
    return made


def make(*people: int, count: int = 20, seed: int = 0, held_out: bool = False) -> Dataset:
    return make_dataset(people, count=count, seed=seed, held_out=held_out)


@pytest.mark.parametrize("people", range(2, 9))
@pytest.mark.parametrize("held_out", [False, True])
def test_the_text_alone_has_exactly_one_solution_and_the_label_states_it(
    people: int, held_out: bool
) -> None:
    data = make(people, count=15, held_out=held_out)
    assert len(data.questions) == len(data.answers) == 15
    for question in data.questions:
        names = puzzle_names(question.text)
        assert len(set(names)) == people
        assert f"You meet {people} inhabitants: " in question.text
        label = data.answers[question.id]
        assert answers_by_brute_force(question.text) == [read_roles(label, names)]


def test_a_label_numbers_the_people_as_the_puzzle_names_them() -> None:
    data = make(3, count=1)
    [question] = data.questions
    lines = data.answers[question.id].split("\n")
    for number, (line, name) in enumerate(zip(lines, puzzle_names(question.text), strict=True), 1):
        assert re.fullmatch(rf"\({number}\) {name} is a (knight|knave)", line)


def test_every_form_of_statement_occurs() -> None:
    said = "\n".join(c for q in make(4, count=200).questions for c in claims(q.text).values())
    claim = r"\w+ is (?:not )?a (?:knight|knave)"
    for form in (
        r"\w+ is a knight",
        r"\w+ is a knave",
        r"\w+ is not a knight",
        rf"{claim} and {claim}",
        rf"{claim} or {claim}",
        rf"If {claim} then {claim}",
        rf"{claim} if and only if {claim}",
        rf"It is not true that both {claim} and {claim}",
        rf"It is not true that either {claim} or {claim}",
        rf"If both {claim} and {claim} then {claim}",
        rf"{claim} if and only if either {claim} or {claim}",
    ):
        assert re.search(rf"^{form}$", said, re.MULTILINE), form


@pytest.mark.parametrize("people", [2, 3, 8])
def test_a_statement_is_about_somebody_else_and_never_empty_talk(people: int) -> None:
    rng = np.random.default_rng(0)
    worlds = all_worlds(people)
    for speaker in [0, people - 1] * 100:
        statement = draw_statement(rng, speaker, people)
        named = re.findall(r"\d", say(statement, "01234567"))
        assert len(named) == len(set(named))
        assert set(named) - {str(speaker)}
        assert 0 < statement.holds(worlds).sum() < 2**people


FIRST, SECOND = Is(person=0, knight=True), Is(person=1, knight=True)


@pytest.mark.parametrize(
    ("connective", "table"),
    [
        (Connective.AND, [True, False, False, False]),
        (Connective.OR, [True, True, True, False]),
        (Connective.IF, [True, False, True, True]),
        (Connective.IFF, [True, False, False, True]),
    ],
)
def test_connectives_mean_what_logic_says(connective: Connective, table: list[bool]) -> None:
    statement = Joined(connective=connective, left=FIRST, right=SECOND)
    worlds = np.array([[True, True, False, False], [True, False, True, False]])
    assert statement.holds(worlds).tolist() == table
    assert [bool(statement.holds(worlds[:, i])) for i in range(4)] == table
    assert Not(part=statement).holds(worlds).tolist() == [not value for value in table]
    assert Is(person=1, knight=False).holds(worlds).tolist() == [False, True, False, True]


def test_the_solver_finds_no_solution_one_or_several() -> None:
    knave_0, knave_1 = Is(person=0, knight=False), Is(person=1, knight=False)
    both_knaves = Joined(connective=Connective.AND, left=knave_0, right=knave_1)
    assert solutions([SECOND, knave_0]) == []
    assert solutions([both_knaves, knave_0]) == [(False, True)]
    assert solutions([SECOND, FIRST]) == [(False, False), (True, True)]


def test_a_statement_without_clear_wording_is_refused() -> None:
    inner = Joined(connective=Connective.IF, left=FIRST, right=SECOND)
    with pytest.raises(KeyError):
        say(Not(part=inner), ("Ann", "Bob"))


def test_the_same_seed_makes_the_same_puzzles_and_another_one_others() -> None:
    assert make(3) == make(3)
    assert make(3).ids().isdisjoint(make(3, seed=1).ids())


def test_the_first_puzzle_stays_what_it_was() -> None:
    """Changing the generator changes everybody's data: do it knowingly."""
    assert [make(people, count=1).questions[0].id for people in (2, 5)] == [
        "kk2-3f9a7705cbb1",
        "kk5-1ff657641a99",
    ]


def test_a_smaller_count_is_a_prefix_and_keeps_ids_and_labels() -> None:
    small, large = make(3, 5, count=10), make(3, 5, count=20)
    assert small.questions == large.questions[:10]
    assert small.answers.items() <= large.answers.items()


def test_sizes_take_turns_and_do_not_change_each_other() -> None:
    data = make(3, 5, 3, count=7)
    assert [len(puzzle_names(q.text)) for q in data.questions] == [3, 5, 3, 3, 5, 3, 3]
    assert [q.id[:4] for q in data.questions[:2]] == ["kk3-", "kk5-"]
    threes = tuple(q for q in data.questions if q.id.startswith("kk3"))
    assert threes == make(3, count=5).questions


@pytest.mark.parametrize("people", [2, 3])
def test_no_puzzle_comes_twice_and_none_is_both_trained_on_and_held_out(people: int) -> None:
    train = structures(make(people, count=1500))
    held_out = structures(make(people, count=500, seed=1, held_out=True))
    assert len(set(train)) == 1500
    assert len(set(held_out)) == 500
    assert set(train).isdisjoint(held_out)


def test_the_solution_gives_nothing_away() -> None:
    roles = np.array([p.knights for p in islice(stream(4, seed=0, held_out=False), 500)])
    assert np.all((roles.mean(axis=0) > 0.4) & (roles.mean(axis=0) < 0.7))


def test_more_puzzles_than_there_are_is_a_mistake_that_says_so() -> None:
    config = DataConfig(kind=DataKind.knights, people=[2], count=1, eval_count=10**6)
    with pytest.raises(UserError, match=r"data\.eval_count=1000000 .* only \d{4} .* 2 people"):
        load_split(config)


def test_the_data_group_gives_training_and_held_out_puzzles_of_their_own_sizes() -> None:
    config = DataConfig(
        kind=DataKind.knights, people=[2, 3], count=6, eval_people=[4], eval_count=3, seed=5
    )
    split = load_split(config)
    assert split.train == make(2, 3, count=6, seed=5)
    assert split.held_out == make(4, count=3, seed=5, held_out=True)
    same = load_split(DataConfig(kind=DataKind.knights, people=[2], count=4, eval_count=2))
    assert [len(puzzle_names(q.text)) for q in same.held_out.questions] == [2, 2]
    assert not load_split(DataConfig(kind=DataKind.knights, eval_count=0)).held_out.questions


def test_a_question_is_one_chat_message_that_says_how_to_answer() -> None:
    [question] = make(3, count=1).questions
    [message] = question.messages
    assert (message.role, message.content, question.task) == ("user", question.text, "knights")
    for tag in ("<think>", "</think>", "<answer>", "</answer>"):
        assert tag in message.content


def test_a_response_that_gives_the_label_earns_the_full_reward() -> None:
    task, data = KnightsTask(), make(3, count=5)
    for question in data.questions:
        label = data.answers[question.id]
        answer = task.extract(f"<think>...</think><answer>\n{label}\n</answer>", question.text)
        assert answer is not None
        correct = task.accepted(label, question.text) == (answer,)
        assert task.reward("<answer>x</answer>", answer, correct=correct) == 3.0


WORDS = {"and": Connective.AND, "or": Connective.OR, "->": Connective.IF, "<=>": Connective.IFF}


def from_tuples(parts: tuple[object, ...]) -> Statement:
    """A statement as the real files write it."""
    word, *rest = parts
    if word in ("telling-truth", "lying"):
        [person] = rest
        assert isinstance(person, int)
        return Is(person=person, knight=word == "telling-truth")
    below = [from_tuples(part) for part in rest if isinstance(part, tuple)]
    if word == "not":
        return Not(part=below[0])
    left, right = below
    return Joined(connective=WORDS[str(word)], left=left, right=right)


@pytest.mark.skipif(
    not SHARED.is_dir(), reason="the shared data folder is not beside the repository"
)
@pytest.mark.parametrize("name", ["3ppl-train", "5ppl-test"])
def test_the_solver_agrees_with_real_puzzles(name: str) -> None:
    table = pq.read_table(SHARED / f"kk/{name}.parquet", columns=["statements", "solution"])
    rows = table.slice(0, 100).to_pylist()
    assert len(rows) == 100
    for row in rows:
        statements = [from_tuples(parts) for parts in ast.literal_eval(row["statements"])]
        assert solutions(statements) == [tuple(row["solution"])]
