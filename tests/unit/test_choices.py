"""Options of a row: below its prompt, and the letter that its label means."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rlavr_hpc.config.data import ChoiceRule, DataConfig, DataKind
from rlavr_hpc.data.findings import FindingLevel
from rlavr_hpc.data.load_split import load_split
from rlavr_hpc.errors import UserError
from tests.support.rows import finding, jsonl, labels, read, read_rows

SHOWN = "Which?\nA. red\nB. green\nC. blue"
LIST = ["red", "green", "blue"]


@pytest.mark.parametrize(
    "choices",
    [
        LIST,
        {"A": "red", "B": "green", "C": "blue"},
        {"C": "blue", "A": "red", "B": "green", "D": None},
        {"text": LIST, "label": ["A", "B", "C"]},
        {"label": ["1", "2", "3"], "text": LIST},
        [{"label": k, "text": text} for k, text in zip("ABC", LIST, strict=True)],
        ["A) red", "B) green", "C) blue"],
        ["(A) red", "(B) green", "(C) blue"],
        '["red", "green", "blue"]',
        "['red', 'green', 'blue']",
    ],
)  # fmt: skip
def test_options_of_many_shapes_stand_below_the_prompt(tmp_path: Path, choices: object) -> None:
    for column in ("choices", "options"):
        data = read_rows(tmp_path, {"question": "Which?", column: choices, "answer": "B"})
        assert [q.text for q in data.questions] == [SHOWN]
        assert labels(data) == ["B"]
        assert {q.task for q in data.questions} == {"choice"}
        told = finding(data, "rendered_choices")
        assert told is not None
        assert told.count == 1


def test_columns_of_letters_are_options(tmp_path: Path) -> None:
    plain = {"question": "Which?", "A": "red", "B": "green", "C": "blue", "answer": "C"}
    named = {"question": "Which?", "option_a": "red", "option_b": "green", "option_c": "blue"}
    assert [q.text for q in read_rows(tmp_path, plain).questions] == [SHOWN]
    assert [q.text for q in read_rows(tmp_path, named).questions] == [SHOWN]
    assert [q.text for q in read_rows(tmp_path, {"question": "W?", "A": "1"}).questions] == ["W?"]


@pytest.mark.parametrize(
    "prompt",
    [
        SHOWN,
        "Which? A) red B) green C) blue",
        "Which?\n(A) red\n(B) green\n(C) blue\nAnswer with a letter.",
        "Which?\nA: red\nB: green\nC: blue",
        "A. red\nB. green\nC. blue\nWhich of them?",
    ],
)
def test_a_prompt_that_shows_them_is_left_as_it_is(tmp_path: Path, prompt: str) -> None:
    row = {"prompt": prompt, "choices": LIST, "answer": 2, "data_source": "mmlu"}
    data = read_rows(tmp_path, row, choices=ChoiceRule.refuse)
    assert [q.text for q in data.questions] == [prompt]
    assert finding(data, "rendered_choices") is None


def test_in_a_chat_they_stand_behind_what_the_user_says(tmp_path: Path) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Which?"},
    ]
    data = read_rows(tmp_path, {"prompt": messages, "choices": LIST, "answer": "A"})
    assert [m.content for m in data.questions[0].messages] == ["Be brief.", SHOWN]
    assert data.questions[0].text == SHOWN


@pytest.mark.parametrize(
    ("label", "letter"),
    [
        ("B", "B"),
        ("b", "B"),
        ("(B)", "B"),
        ("B.", "B"),
        ("B. green", "B"),
        ("green", "B"),
        ("Green.", "B"),
        ("\\boxed{B}", "B"),
        ("We look at each.\n#### B", "B"),
        ("The grass tells it all, so the answer is B.", "B"),
        (1, "B"),
        ("1", "B"),
        (1.0, "B"),
        (["A", "C"], "A, C"),
        ("A, C", "A, C"),
        ("CA", "C, A"),
        (["green"], "B"),
        ("E", None),
        ("violet", None),
        (7, None),
        ("A. green", None),
    ],
)
def test_a_label_becomes_its_letter(tmp_path: Path, label: object, letter: str | None) -> None:
    first = {"question": "First?", "choices": LIST, "answer": 0}  # places are counted from 0
    data = read_rows(tmp_path, first, {"question": "Which?", "choices": LIST, "answer": label})
    assert labels(data) == ["A", letter]
    told = finding(data, "unreadable_labels")
    assert (told is not None) == (letter is None)
    assert told is None or told.rows[0].endswith("row 2")


def test_places_may_be_counted_from_one(tmp_path: Path) -> None:
    rows = [{"question": f"q{n}", "choices": LIST, "answer": n} for n in (1, 3, 2)]
    assert labels(read_rows(tmp_path, *rows)) == ["A", "C", "B"]
    assert labels(read_rows(tmp_path, rows[0], rows[2])) == ["B", "C"]  # as MMLU's


def test_the_whole_file_decides_whether_numbers_are_places_or_texts(tmp_path: Path) -> None:
    def rows(*numbers: object) -> list[dict[str, object]]:
        return [
            {"question": f"q{n}", "choices": ["3", "1", "2", "0"], "answer": number}
            for n, number in enumerate(numbers)
        ]

    assert labels(read_rows(tmp_path, *rows(0, 1, 2, 3))) == ["A", "B", "C", "D"]
    assert labels(read_rows(tmp_path, *rows("0", "1", "2", "3"))) == ["D", "B", "C", "A"]
    sums = [{"question": "s", "choices": ["7", "8", "30", "2"], "answer": 30}]
    assert labels(read_rows(tmp_path, *rows(0, 1), *sums)) == ["D", "B", "C"]


def test_index_columns_of_parquet_become_letters(tmp_path: Path) -> None:
    rows = [
        {"question": f"Which is {n}?", "choices": ["nil", "one", "two", "three"], "answer": n}
        for n in range(4)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "d.parquet")
    assert labels(read(tmp_path / "d.parquet")) == ["A", "B", "C", "D"]


def test_arc_rows_are_read(tmp_path: Path) -> None:
    rows = [
        {"question": "W?", "choices": {"text": LIST, "label": list("ABC")}, "answerKey": "C"},
        {"question": "V?", "choices": {"text": LIST, "label": list("123")}, "answerKey": "2"},
    ]
    assert labels(read_rows(tmp_path, *rows)) == ["C", "B"]


def test_equal_questions_with_other_options_are_two_prompts(tmp_path: Path) -> None:
    rows = [
        {"question": "Which?", "choices": LIST, "answer": "A"},
        {"question": "Which?", "choices": ["x", "y"], "answer": "B"},
    ]
    assert labels(read_rows(tmp_path, *rows)) == ["A", "B"]


def test_they_are_refused_or_ignored_where_the_config_says_so(tmp_path: Path) -> None:
    row = {"question": "Which?", "choices": LIST, "answer": "B"}
    with pytest.raises(UserError, match=r"row 1: its choices.*data\.choices=render"):
        read_rows(tmp_path, row, choices=ChoiceRule.refuse)
    data = read_rows(tmp_path, row, choices=ChoiceRule.ignore)
    assert [(q.text, q.task) for q in data.questions] == [("Which?", "math")]
    assert labels(data) == ["B"]


@pytest.mark.parametrize("choices", [5, [f"option {n}" for n in range(30)]])
def test_options_that_cannot_be_read_name_the_row(tmp_path: Path, choices: object) -> None:
    with pytest.raises(UserError, match="row 1: its choices cannot be read"):
        read_rows(tmp_path, {"question": "Which?", "choices": choices, "answer": "A"})


@pytest.mark.parametrize("choices", [None, [], "", {}])
def test_no_options_are_none(tmp_path: Path, choices: object) -> None:
    data = read_rows(tmp_path, {"question": "Which?", "choices": choices, "answer": "A"})
    assert [(q.text, q.task) for q in data.questions] == [("Which?", "math")]


GAP = {"A": "w", "B": None, "C": "y", "D": "z"}


@pytest.mark.parametrize(
    ("row", "letter", "last"),
    [
        ({"choices": GAP, "answer": "C"}, "B", "C. z"),
        ({"choices": GAP, "answer": "B"}, None, "C. z"),
        ({"A": "w", "B": "x", "C": None, "D": "y", "E": "z", "answer": "D"}, "C", "D. z"),
        ({"choices": ["w", None, "y", "z"], "answer": "C"}, "B", "C. z"),
        ({"choices": ["w", None, "y", "z"], "answer": 2}, "B", "C. z"),
        ({"choices": ["w", None, "y", "z"], "answer": "C. y"}, "B", "C. z"),
        ({"choices": ["w", None, "y", "z"], "answer": ["A", "D"]}, "A, C", "C. z"),
        ({"choices": {"text": ["w", "x", "y"], "label": ["B", "C", "D"]}, "answer": "C"}, "B",
         "C. y"),
        ({"choices": {"text": ["w", "x", "y"], "label": ["B", "C", "D"]}, "answer": "A"}, None,
         "C. y"),
        ({"choices": {"text": ["w", "x"], "label": ["B", "A"]}, "answerKey": "A"}, "B", "B. x"),
        ({"choices": ["B) w", "A) x"], "answer": "A"}, "B", "B. x"),
        ({"choices": [{"label": "A", "text": "w"}, {"label": "B", "text": None},
                      {"label": "C", "text": "y"}], "answer": "C"}, "B", "B. y"),
    ],
)  # fmt: skip
def test_a_label_means_the_option_that_the_row_calls_so(
    tmp_path: Path, row: dict[str, object], letter: str | None, last: str
) -> None:
    first = {"question": "First?", "choices": LIST, "answer": 0}
    data = read_rows(tmp_path, first, {"question": "Which?", **row})
    assert labels(data) == ["A", letter]
    assert data.questions[1].text.endswith(last)


def test_a_prompt_that_shows_options_behind_the_rows_own_letters_keeps_them(tmp_path: Path) -> None:
    prompt = "Which?\nA. w\nC. y\nD. z"
    data = read_rows(tmp_path, {"prompt": prompt, "choices": GAP, "answer": "C"})
    assert [q.text for q in data.questions] == [prompt]
    assert labels(data) == ["C"]


def test_a_list_of_places_is_a_set_of_letters(tmp_path: Path) -> None:
    assert labels(read_rows(tmp_path, {"question": "W?", "choices": LIST, "answer": [0, 2]})) == [
        "A, C"
    ]


def test_places_that_may_count_from_one_as_well_are_told_with_their_rows(tmp_path: Path) -> None:
    rows = [{"question": f"q{n}", "choices": [*LIST, "grey"], "answer": n} for n in range(1, 5)]
    told = finding(read_rows(tmp_path, *rows[:3]), "undecided_places")
    assert told is not None
    assert (told.level, told.count) == (FindingLevel.warning, 3)
    assert "counted from 0" in told.text
    assert finding(read_rows(tmp_path, *rows), "undecided_places") is None
    first = {"question": "q0", "choices": LIST, "answer": 0}
    assert finding(read_rows(tmp_path, first, *rows[:3]), "undecided_places") is None


def test_training_and_held_out_files_count_places_from_the_same_number(tmp_path: Path) -> None:
    rows = [{"question": f"q{n}", "choices": [*LIST, "grey"], "answer": n} for n in range(1, 5)]
    train, other = jsonl(tmp_path / "t.jsonl", *rows), jsonl(tmp_path / "e.jsonl", *rows[:3])
    config = DataConfig(kind=DataKind.jsonl, path=str(train), eval_path=str(other))
    split = load_split(config)
    assert labels(split.train) == ["A", "B", "C", "D"]
    assert labels(split.held_out) == ["A", "B", "C"]
    assert finding(split.held_out, "undecided_places") is None


def test_an_option_may_read_like_a_word_for_no_answer(tmp_path: Path) -> None:
    for options, label in ((["K", "Na"], "Na"), (["All", "None"], "None")):
        data = read_rows(tmp_path, {"question": "W?", "choices": options, "answer": label})
        assert labels(data) == ["B"]
    nothing = read_rows(tmp_path, {"question": "W?", "choices": LIST, "answer": "None"})
    assert finding(nothing, "void_labels") is not None


def test_a_label_that_is_no_option_stands_in_no_message(tmp_path: Path) -> None:
    for label in ("violet", 17):
        data = read_rows(tmp_path, {"question": "W?", "choices": LIST, "answer": label})
        told = finding(data, "unreadable_labels")
        assert told is not None
        assert str(label) not in told.text
        assert "its label is none of the row's options" in told.text


def test_places_that_count_from_one_are_told(tmp_path: Path) -> None:
    rows = [{"question": f"q{i}", "choices": LIST, "answer": i + 1} for i in range(len(LIST))]
    found = finding(read_rows(tmp_path, *rows), "places_from_one")
    assert found is not None
    assert "counted from 1" in found.text
