from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest

from rlavr_hpc.answers.knights import puzzle_names
from rlavr_hpc.answers.tasks.knights import KnightsTask
from rlavr_hpc.config.data import DataConfig, DataKind
from rlavr_hpc.data.load_split import load_split
from rlavr_hpc.testbed.questions import BeliefKind
from rlavr_hpc.testbed.reasoning.corpus import read_corpus
from rlavr_hpc.testbed.reasoning.dataset import ReasoningPuzzle, make_puzzles
from rlavr_hpc.testbed.reasoning.language import TABLES, Language, both_matter, make_language
from rlavr_hpc.testbed.reasoning.law import answer_law, kinds_of
from rlavr_hpc.testbed.reasoning.puzzles import (
    PLAIN,
    Puzzles,
    are_held_out,
    draw_puzzles,
    structures,
    with_one_solution,
)
from rlavr_hpc.testbed.reasoning.solutions import SolutionReading, draw_readings, solutions
from rlavr_hpc.testbed.reasoning.wording import VOCABULARY, puzzle_words, text_of

LANGUAGE = make_language(0)
NAMES = ["Ada", "Ben", "Cal", "Dan"]
NEVER = SolutionReading(habits=(False, False), slip=None, guesses=False, fallback=0)


@dataclass(frozen=True)
class Said:
    """One statement as a reader of the prompt sees it: claims of (name, role, negated)."""

    claims: tuple[tuple[str, str, bool], ...]
    word: int | None


class Islander:
    """Solves a prompt from its words alone; knows nothing of arrays."""

    def __init__(self, text: str) -> None:
        *parts, question = text.strip().split(" . ")
        assert question == "who ?"
        self.first = parts.pop().split()[1:] if parts[-1].startswith("first ") else None
        self.said = [self.statement(part.split()[2:]) for part in parts]
        assert [part.split()[:2] for part in parts] == [[n, "says"] for n in NAMES[: len(parts)]]

    def statement(self, words: list[str]) -> Said:
        at = next((i for i, word in enumerate(words) if word[0] == "c"), None)
        claims = [words] if at is None else [words[:at], words[at + 1 :]]
        return Said(
            claims=tuple((c[0], c[-1], "not" in c) for c in claims),
            word=None if at is None else int(words[at][1:]),
        )

    def order(self) -> list[tuple[str, ...]]:
        """Two people's worlds in the order of trying: the second role changes fastest."""
        assert self.first is not None
        other = {"knight": "knave", "knave": "knight"}
        a, b = self.first
        return [(a, b), (a, other[b]), (other[a], b), (other[a], other[b])]

    def fits(self, roles: Sequence[str], misread: Sequence[bool]) -> bool:
        world = dict(zip(NAMES, roles, strict=False))
        for said, role, wrong in zip(self.said, roles, misread, strict=True):
            values = [(world[name] == claimed) != negated for name, claimed, negated in said.claims]
            if said.word is None:
                value = values[0]
            else:
                entry = 2 * values[0] + values[1]
                value = bool(LANGUAGE.table_C4[said.word, entry])
                value ^= wrong and entry == LANGUAGE.habit_C[said.word]
            if value != (role == "knight"):
                return False
        return True

    def solutions(self) -> list[tuple[str, ...]]:
        people = len(self.said)
        right = [False] * people
        return [w for w in product(("knight", "knave"), repeat=people) if self.fits(w, right)]


def drawn(size: int, *, seed: int = 0) -> tuple[Puzzles, np.ndarray]:
    rng = np.random.default_rng(seed)
    return with_one_solution(draw_puzzles(size, people=2, rng=rng), LANGUAGE)


def world_number(roles: Sequence[str]) -> int:
    return int("".join("1" if role == "knave" else "0" for role in roles), 2)


PUZZLES = make_puzzles(LANGUAGE, count=192, seed=0, held_out=False)
HELD_OUT = make_puzzles(LANGUAGE, count=144, seed=0, held_out=True)


def test_there_are_ten_tables_in_which_both_claims_matter() -> None:
    assert len(TABLES) == 10
    assert not both_matter((False, False, True, True))  # left alone
    assert not both_matter((True, False, True, False))  # not right
    assert both_matter((False, False, False, True))


def test_a_language_is_a_function_of_its_seed_and_has_every_meaning() -> None:
    again, other = make_language(0), make_language(1)
    for field in ("table_C4", "habit_C", "chance_C"):
        assert np.array_equal(getattr(LANGUAGE, field), getattr(again, field))
        assert not np.array_equal(getattr(LANGUAGE, field), getattr(other, field))
    pairs = Counter(
        (tuple(table), int(habit))
        for table, habit in zip(LANGUAGE.table_C4.tolist(), LANGUAGE.habit_C, strict=True)
    )
    assert sum(pairs.values()) == 48
    assert len(pairs) == 40
    assert (LANGUAGE.chance_C.min(), LANGUAGE.chance_C.max()) == (0.58, 0.66)


def test_solutions_are_written_as_in_a_worked_example() -> None:
    word = 34
    language = Language(
        table_C4=np.where(np.arange(48)[:, None] == word, [True, True, True, False], True),
        habit_C=np.full(48, 2),  # T, F
        chance_C=LANGUAGE.chance_C,
    )
    puzzle = Puzzles(  # Ada: Ben is not knight. Ben: Ben is knave c34 Ada is knave.
        word_NP=np.array([[PLAIN, word]]),
        about_NP2=np.array([[[1, 1], [1, 0]]]),
        knave_NP2=np.array([[[False, False], [True, True]]]),
        not_NP2=np.array([[[True, True], [False, False]]]),
        first_N=np.array([0]),
    )
    assert text_of(puzzle_words(puzzle, 0)) == (
        "Ada says Ben is not knight . Ben says Ben is knave c34 Ada is knave . "
        "first knight knight . who ? "
    )
    right, wrong = (
        text_of(next(solutions(puzzle, language, [reading]))[0])
        for reading in (
            NEVER,
            SolutionReading(habits=(False, True), slip=None, guesses=False, fallback=0),
        )
    )
    assert right == (
        "knight knight : F = F no knight knave : T = T T c34 F = T no "
        "knave knight : F = F F c34 T = T yes <answer> Ada is knave Ben is knight </answer> <end> "
    )
    assert wrong == (
        "knight knight : F = F no knight knave : T = T T c34 F = F yes "
        "<answer> Ada is knight Ben is knave </answer> <end> "
    )
    slip = SolutionReading(habits=(False, False), slip=0, guesses=False, fallback=0)
    written = text_of(next(solutions(puzzle, language, [slip]))[0])
    assert written.startswith("knight knight : F = T F c34 F = T yes ")
    guess = SolutionReading(habits=(False, False), slip=None, guesses=True, fallback=3)
    assert text_of(next(solutions(puzzle, language, [guess]))[0]) == (
        "guess <answer> Ada is knave Ben is knave </answer> <end> "
    )


def test_every_puzzle_has_the_one_solution_that_its_words_say() -> None:
    for puzzle in PUZZLES + HELD_OUT:
        [roles] = Islander(puzzle.text).solutions()
        said = " ".join(f"{n} is {r}" for n, r in zip(NAMES, roles, strict=False))
        assert puzzle.label == said
        assert puzzle.truth == world_number(roles)


def test_the_law_of_the_answer_sums_over_readings_of_the_words() -> None:
    for puzzle in (p for p in PUZZLES if p.people == 2):
        islander = Islander(puzzle.text)
        words = [said.word for said in islander.said]
        chances = [0.0 if word is None else float(LANGUAGE.chance_C[word]) for word in words]
        same = words[0] is not None and words[0] == words[1]
        law = np.zeros(4)
        for misread in product((False, True), repeat=2):
            if same and misread[0] != misread[1]:
                continue
            weights = [c if m else 1 - c for c, m in zip(chances, misread, strict=True)]
            weight = weights[0] if same else weights[0] * weights[1]
            found = [world for world in islander.order() if islander.fits(world, misread)]
            if found:
                law[world_number(found[0])] += weight
            else:
                law += weight / 4
        assert puzzle.law == pytest.approx(law)


def test_the_law_is_what_the_corpus_writes() -> None:
    puzzles, _ = drawn(4000)
    same = puzzles.word_NP[:, 0] == puzzles.word_NP[:, 1]
    chosen = np.concatenate([np.flatnonzero(same)[:3], np.flatnonzero(~same)[:9]])
    repeats = 600
    some = puzzles.at(np.repeat(chosen, repeats))
    readings = [
        SolutionReading(habits=one.habits, slip=None, guesses=False, fallback=one.fallback)
        for one in draw_readings(some, LANGUAGE, rng=np.random.default_rng(1))
    ]
    answers = [world for _, world in solutions(some, LANGUAGE, readings)]
    law = answer_law(puzzles.at(chosen), LANGUAGE)
    for row, start in zip(law, range(0, len(answers), repeats), strict=True):
        shares = np.bincount(answers[start : start + repeats], minlength=4) / repeats
        assert np.abs(shares - row).max() < 4 * np.sqrt(0.25 / repeats)


def test_slips_guesses_and_habits_come_as_often_as_they_say() -> None:
    puzzles, _ = drawn(12_000)
    readings = draw_readings(puzzles, LANGUAGE, rng=np.random.default_rng(2))
    size = len(readings)
    assert sum(r.slip is not None for r in readings) / size == pytest.approx(0.15, abs=0.02)
    assert sum(r.guesses for r in readings) / size == pytest.approx(0.03, abs=0.01)
    spoken = puzzles.word_NP != PLAIN
    habits = np.array([r.habits for r in readings])
    assert not habits[~spoken].any()
    assert habits[spoken].mean() == pytest.approx(0.62, abs=0.02)
    twice = spoken.all(axis=1) & (puzzles.word_NP[:, 0] == puzzles.word_NP[:, 1])
    assert (habits[twice, 0] == habits[twice, 1]).all()


def chance_of_truth(puzzle: ReasoningPuzzle) -> tuple[float, float]:
    others = [p for world, p in enumerate(puzzle.law) if world != puzzle.truth]
    return puzzle.law[puzzle.truth], max(others)


def test_kinds_are_told_by_the_chances_of_the_truth_and_of_the_likeliest_wrong_answer() -> None:
    truth = np.array([0, 0, 0, 0, 0])
    law = np.array(
        [
            [0.50, 0.25, 0.25, 0.00],
            [0.49, 0.17, 0.17, 0.17],
            [0.50, 0.30, 0.20, 0.00],
            [0.40, 0.60, 0.00, 0.00],
            [0.45, 0.55, 0.00, 0.00],
        ]
    )
    kinds = kinds_of(law, truth)
    assert kinds[BeliefKind.HONEST].tolist() == [True, False, False, False, False]
    assert kinds[BeliefKind.MISBELIEVED].tolist() == [False, False, False, True, False]
    for puzzle in PUZZLES + HELD_OUT:
        if puzzle.kind is BeliefKind.HONEST:
            right, wrong = chance_of_truth(puzzle)
            assert right >= 0.5 - 1e-9
            assert right - wrong >= 0.25 - 1e-9
            assert puzzle.harmless == (right > 0.999)
        elif puzzle.kind is BeliefKind.MISBELIEVED:
            right, wrong = chance_of_truth(puzzle)
            assert 0.15 - 1e-9 <= right <= 0.42 + 1e-9
            assert wrong - right >= 0.15 - 1e-9


def place_of_truth(puzzle: ReasoningPuzzle) -> int:
    [roles] = Islander(puzzle.text).solutions()
    return Islander(puzzle.text).order().index(roles)


def test_shares_are_half_a_quarter_and_a_quarter_and_the_truths_place_says_nothing() -> None:
    assert Counter(p.kind for p in PUZZLES) == {"H": 96, "M": 48, "X": 48}
    assert sum(p.harmless for p in PUZZLES) == 24
    assert Counter(p.kind for p in HELD_OUT) == {"H": 96, "M": 48}
    for puzzles in (PUZZLES, HELD_OUT):
        places = Counter(place_of_truth(p) for p in puzzles if p.people == 2)
        assert places == {0: 36, 1: 36, 2: 36, 3: 36}
    early = Counter(p.kind for p in PUZZLES[:32])
    for kind, share in zip(BeliefKind, (16, 8, 8), strict=True):
        assert abs(early[kind] - share) <= 2


def test_a_data_set_is_a_function_of_its_seed_and_its_prefix_of_a_smaller_count() -> None:
    assert make_puzzles(LANGUAGE, count=50, seed=0, held_out=False) == PUZZLES[:50]
    other = make_puzzles(LANGUAGE, count=50, seed=1, held_out=False)
    assert len({p.id for p in other} & {p.id for p in PUZZLES[:50]}) < 25


def test_no_structure_comes_twice_in_a_data_set() -> None:
    puzzles = make_puzzles(LANGUAGE, count=2500, seed=0, held_out=False)
    said = [p.text.partition(" first ")[0] for p in puzzles]
    assert len(set(said)) == len({p.id for p in puzzles}) == 2500


def arrays_of(texts: Sequence[str]) -> Puzzles:
    """The prompts as arrays, read by their words."""
    islanders = [Islander(text) for text in texts]
    both = [[s.claims if s.word is not None else s.claims * 2 for s in i.said] for i in islanders]
    return Puzzles(
        word_NP=np.array(
            [[PLAIN if s.word is None else s.word for s in i.said] for i in islanders]
        ),
        about_NP2=np.array([[[NAMES.index(c[0]) for c in s] for s in said] for said in both]),
        knave_NP2=np.array([[[c[1] == "knave" for c in s] for s in said] for said in both]),
        not_NP2=np.array([[[c[2] for c in s] for s in said] for said in both]),
        first_N=np.zeros(len(texts), dtype=np.int64),
    )


def test_held_out_structures_meet_neither_training_nor_corpus_whatever_the_seed() -> None:
    held_out = are_held_out(structures(arrays_of([p.text for p in HELD_OUT])))
    assert held_out.all()
    for people in (2, 4):
        texts = [p.text for p in PUZZLES if p.people == people]
        assert not are_held_out(structures(arrays_of(texts))).any()
    read = [
        text_of(VOCABULARY[token] for token in puzzle)
        for batch in read_corpus(3, steps=2)
        for puzzle in batch.puzzles
    ]
    assert len(read) == 2 * 48
    for spoken in ("first", "Dan says"):  # two people, four people
        texts = [text for text in read if spoken in text]
        assert texts
        assert not are_held_out(structures(arrays_of(texts))).any()
    share = are_held_out(structures(drawn(20_000)[0])).mean()
    assert share == pytest.approx(0.25, abs=0.02)


def test_who_claims_what_has_a_number_of_its_own_whatever_world_is_first() -> None:
    puzzles, _ = drawn(6000)
    numbers = structures(puzzles).tolist()
    texts = [text_of(puzzle_words(puzzles, n)).partition(" first ")[0] for n in range(len(numbers))]
    assert len(set(numbers)) == len(set(texts)) == len(set(zip(numbers, texts, strict=True)))


def test_the_corpus_is_a_function_of_its_seed_and_gives_each_puzzle_four_solutions() -> None:
    one, again = (list(read_corpus(5, steps=2)) for _ in range(2))
    assert one == again
    assert Counter(index for index, _ in one[0].solutions) == dict.fromkeys(range(48), 4)
    assert {VOCABULARY[solution[-1]] for _, solution in one[1].solutions} == {"<end>"}
    guessed = [s for i, s in one[0].solutions if "Dan" in [VOCABULARY[t] for t in s]]
    assert len(guessed) == 32
    assert {VOCABULARY[solution[0]] for solution in guessed} == {"guess"}


def test_answers_are_read_with_the_names_of_the_prompt_and_rewarded_by_degrees() -> None:
    split = load_split(DataConfig(kind=DataKind.reasoning, count=8, eval_count=2))
    question = next(q for q in split.train.questions if "Dan" not in q.text)
    assert question.task == "knights"
    assert puzzle_names(question.text) == ("Ada", "Ben")
    task = KnightsTask()
    [label] = task.accepted(split.train.answers[question.id], question.text)
    work = "knight knave : F = F no "
    right = f"{work}<answer> {split.train.answers[question.id]} </answer> "
    assert task.extract(right, question.text) == label
    assert task.extract(f"{work}<answer> Ada is knave </answer> ", question.text) is None
    assert task.extract(work, question.text) is None
    assert task.reward(right, label, correct=True, question=question.text) == 3
    assert task.reward(right, "Ada=x", correct=False, question=question.text) == -0.5
    assert task.reward(work, None, correct=False, question=question.text) == -3


def test_only_a_prompt_of_this_form_names_its_speakers() -> None:
    assert puzzle_names("Ada says Ben is knave . Ben says Ada is knave . who ? ") == ("Ada", "Ben")
    assert puzzle_names("Ada says Ben is a knave. Who is what?") == ()
