"""Labels in rows: worked solutions, structures, words for none, several columns, conflicts."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rlavr_hpc.config.data import ConflictRule
from rlavr_hpc.data.findings import FindingLevel
from rlavr_hpc.data.row_labels import label_keys
from rlavr_hpc.errors import UserError
from rlavr_hpc.labels.text import accepted_answers
from tests.support.rows import finding, jsonl, labels, read, read_rows

PROSE = "There is a unique triangle such that the result is positive and finite for all n"
DEPENDS = "It depends on what the answer is: see the figure below for more of it."
WORK = "Tom has 4 and buys 5.\n4+5=<<4+5=9>>9 in all.\n"


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        (WORK + "#### 9", "9"),
        (WORK + "####9\n", "9"),
        (WORK + "####  1,009  \n\n", "1,009"),
        (WORK + "#### $-9.50", "$-9.50"),
        ("4+5=9 #### 9", "9"),
        ("#### Adding\n4+5=9\n#### 9", "9"),
        ("#### First\nwe add.\n#### Then\nwe are done: $\\boxed{9}$.", "9"),
        ("Adding, we get $\\boxed{\\frac{9}{2}}$.", "\\frac{9}{2}"),
        ("First \\boxed{4} is wrong.\nSo it is \\boxed{9}", "9"),
        ("We add four and five.\nThe answer is: 9", "9"),
        ("We add four and five, so the final answer is 9.", "9"),
        ("We add.\n**Answer:** 9", "9"),
        ("Thinking it over. <answer> 9 </answer>", "9"),
        ("We get $x=\\boxed{2}$ and $y=\\boxed{3}$.", "2, 3"),
        ("First $\\boxed{4}$. No, wait: it is $\\boxed{9}$.", "9"),
        ("Adding, we get $\\fbox{7}$.", "7"),
        # no worked solutions
        ("9", "9"),
        ("\\boxed{9}", "\\boxed{9}"),
        ("\\boxed{2}, \\boxed{3}", "\\boxed{2}, \\boxed{3}"),
        ("x = 9", "x = 9"),
        (PROSE, PROSE),
        (DEPENDS, DEPENDS),
        ("\\text{none of the answers is prime}", "\\text{none of the answers is prime}"),
    ],
)
def test_the_label_of_a_worked_solution_is_what_it_marks(
    tmp_path: Path, answer: str, label: str
) -> None:
    data = read_rows(tmp_path, {"question": "4+5?", "answer": answer})
    assert labels(data) == [label]
    told = finding(data, "worked_solutions")
    assert (told is not None) == (label != answer)


def test_a_column_of_solutions_gives_labels_where_there_is_none_of_answers(tmp_path: Path) -> None:
    rows = [
        {"problem": "a", "solution": "So $x=\\boxed{7}$."},
        {"problem": "b", "solution": "It is plain to see."},
    ]
    assert labels(read_rows(tmp_path, *rows)) == ["7", None]
    with_answers = [{**row, "answer": "proof"} for row in rows]
    assert labels(read_rows(tmp_path, *with_answers)) == [None, None]


@pytest.mark.parametrize(
    "void",
    [None, "", "  ", "proof", "Proof", "notfound", "not_found", "null", "None", "N/A", [], [""],
     ["proof"], "[]", '""', float("nan"), {"answer": None}, WORK + "#### N/A"],
)  # fmt: skip
def test_a_word_for_no_answer_is_no_label(tmp_path: Path, void: object) -> None:
    data = read_rows(tmp_path, {"prompt": "a", "answer": void}, {"prompt": "b", "answer": "1"})
    assert labels(data)[1] == "1"
    if void != {"answer": None}:
        assert labels(data)[0] is None
        told = finding(data, "void_labels")
        assert told is not None
        assert (told.count, [row.rpartition("/")[2] for row in told.rows]) == (
            1, ["rows.jsonl, row 1"],
        )  # fmt: skip


def test_words_for_no_answer_are_a_warning_and_gaps_a_note(tmp_path: Path) -> None:
    gap, word = {"prompt": "a", "answer": ""}, {"prompt": "b", "answer": "proof"}
    right = {"prompt": "c", "answer": "1"}
    only_gaps = finding(read_rows(tmp_path, gap, right), "void_labels")
    words = finding(read_rows(tmp_path, gap, word, right), "void_labels")
    assert only_gaps is not None
    assert words is not None
    assert (only_gaps.level, words.level) == (FindingLevel.note, FindingLevel.warning)
    assert "2 of 3 rows" in words.text
    assert "1 x 'proof'" in words.text
    assert "1 x nothing" in words.text


@pytest.mark.parametrize("empty", [None, "", " ", "null", [], "notfound"])
def test_an_empty_truth_gives_way_to_the_answer_beside_it(tmp_path: Path, empty: object) -> None:
    row = {"prompt": "a", "reward_model": {"ground_truth": empty}, "answer": "3"}
    full = {"prompt": "b", "reward_model": {"ground_truth": "4"}, "answer": "long text"}
    assert labels(read_rows(tmp_path, row, full)) == ["3", "4"]


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (True, "True"),
        (["4", "four"], '["4", "four"]'),
        ({"answer": "4"}, "4"),
        ({"target": ["4"]}, "4"),
        ({"value": 4}, "4"),
        ({"solution_text_format": "(1) Ann is a knight", "answer": "x"}, "(1) Ann is a knight"),
        (12.0, "12"),
        (10**30, "1" + 30 * "0"),
    ],
)
def test_structured_values_are_labels(tmp_path: Path, value: object, label: str) -> None:
    row = {"prompt": "a", "reward_model": {"ground_truth": value}}
    assert labels(read_rows(tmp_path, row)) == [label]


def test_list_columns_of_parquet_are_several_answers(tmp_path: Path) -> None:
    rows = [{"prompt": "a", "answer": ["4", "four"]}, {"prompt": "b", "answer": ["5"]}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "d.parquet")
    assert labels(read(tmp_path / "d.parquet")) == ['["4", "four"]', "5"]


def test_integers_of_any_length_are_read(tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_text('{"prompt": "a", "answer": 1%s, "id": 9}\n' % ("0" * 5000))
    assert labels(read(tmp_path / "d.jsonl")) == ["1" + "0" * 5000]


def test_an_answer_that_cannot_be_read_is_named_and_costs_no_other_row(tmp_path: Path) -> None:
    rows = [
        {"prompt": "a", "answer": {"inputs": ["1"], "outputs": ["2"]}},
        {"prompt": "b", "answer": [[1, 2], [3]]},
        {"prompt": "c", "answer": "3"},
    ]
    data = read_rows(tmp_path, *rows)
    assert labels(data) == [None, None, "3"]
    told = finding(data, "unreadable_labels")
    assert told is not None
    assert (told.level, told.count) == (FindingLevel.warning, 2)
    assert told.rows[1].endswith("row 2")


def test_structures_stay_whole_for_tasks_that_read_them(tmp_path: Path) -> None:
    row = {"prompt": "a", "answer": {"inputs": ["1"]}}
    assert labels(read_rows(tmp_path, row, task="code")) == ['{"inputs": ["1"]}']


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("4", "4.0", True),
        ("1/2", "0.5", True),
        ("\\frac{1}{2}", "$0.5$", True),
        ("\\boxed{4}", "4", True),
        ("1,000", "1000", True),
        ("x + 1", "x+1", True),
        ('["4", "four"]', "4", True),
        ("Yes", "yes", True),
        ("4", "5", False),
        ("(1,2)", "(1, 3)", False),
        ("1,2", "12", False),
    ],
)
def test_labels_are_compared_without_their_dress(first: str, second: str, same: bool) -> None:
    assert bool(label_keys(first) & label_keys(second)) is same


def test_a_label_with_an_exponent_costs_no_memory() -> None:
    assert label_keys("1e999999999") == {"1e999999999"}


def test_of_labels_that_differ_none_counts_and_the_rows_are_named(tmp_path: Path) -> None:
    rows = [
        {"prompt": "a", "answer": "999"},
        {"prompt": "b", "answer": "2"},
        {"prompt": "a", "answer": "1"},
        {"prompt": "b", "answer": "2.0"},
        {"prompt": "b"},
    ]
    data = read_rows(tmp_path, *rows)
    assert labels(data) == [None, "2"]
    told = finding(data, "conflicting_labels")
    assert told is not None
    assert [row.rpartition(" ")[2] for row in told.rows] == ["1", "3"]
    assert "1 prompts (2 of 5 rows)" in told.text
    assert "row 1 and row 3" in told.text
    assert "999" not in told.text, "nobody bought it"
    with pytest.raises(UserError, match=r"row 1 and row 3; correct the file") as refused:
        read_rows(tmp_path, *rows, conflicts=ConflictRule.error)
    assert "999" not in str(refused.value)


def test_conflicts_leave_the_questions_alone(tmp_path: Path) -> None:
    rows = [{"prompt": "a", "answer": "1"}, {"prompt": "a", "answer": "2"}]
    with_conflict = read_rows(tmp_path, *rows)
    assert with_conflict.questions == read_rows(tmp_path, rows[0]).questions


def test_rows_without_a_prompt_are_left_out_and_named_unless_all_are(tmp_path: Path) -> None:
    good, bad = {"prompt": "a", "answer": "1"}, {"prompt": " ", "answer": "2"}
    data = read_rows(tmp_path, good, bad)
    assert [q.text for q in data.questions] == ["a"]
    told = finding(data, "unusable_rows")
    assert told is not None
    assert (told.count, told.rows[0].rpartition(" ")[2]) == (1, "2")
    assert told.text.endswith("because no text under 'prompt' or 'problem' or 'question' (row 2)")
    with pytest.raises(UserError, match="row 1: no text"):
        read_rows(tmp_path, bad, bad)


def test_a_reward_model_written_as_text_is_read(tmp_path: Path) -> None:
    rows = [
        {"prompt": "a", "reward_model": '{"ground_truth": "4", "style": "rule"}'},
        {"prompt": "b", "reward_model": "{'ground_truth': '5', 'style': 'rule'}"},
    ]
    assert labels(read(jsonl(tmp_path / "d.jsonl", *rows))) == ["4", "5"]


@pytest.mark.parametrize("value", [{"unit": "cm"}, {"type": "integer"}, {"name": "x"}])
def test_an_object_of_one_value_that_is_no_mathematics_is_no_label(
    tmp_path: Path, value: object
) -> None:
    data = read_rows(tmp_path, {"prompt": "a", "answer": value}, {"prompt": "b", "answer": "1"})
    assert labels(data) == [None, "1"]
    assert finding(data, "unreadable_labels") is not None


def test_an_object_of_one_value_is_told(tmp_path: Path) -> None:
    data = read_rows(tmp_path, {"prompt": "a", "answer": {"value": 4}})
    told = finding(data, "objects_of_one_value")
    assert told is not None
    assert (told.level, told.count) == (FindingLevel.note, 1)
    assert finding(read_rows(tmp_path, {"prompt": "a", "answer": {"answer": 4}}), told.kind) is None


@pytest.mark.parametrize("word", ["none", "na", "Missing", "Proof", "-", "?", "nil"])
def test_a_text_may_be_any_word_but_those_of_data_formats(tmp_path: Path, word: str) -> None:
    assert labels(read_rows(tmp_path, {"prompt": "a", "answer": word}, task="text")) == [word]
    for void in ("null", "N/A", "<NA>", ""):
        assert labels(read_rows(tmp_path, {"prompt": "a", "answer": void}, task="text")) == [None]


@pytest.mark.parametrize(
    ("label", "accepted"),
    [
        ("{'answer': '64'}", ("64",)),
        ("{'answer': 0.5, 'unit': None}", ("0.5",)),
        ("np.int64(52)", ("52",)),
        ("np.float64(0.5)", ("0.5",)),
        ("np.str_('40')", ("40",)),
        ("[np.str_('40'), np.str_('41')]", ("40", "41")),
        ("b'9'", ("9",)),
        ("{1, 2}", ("{1, 2}",)),
        ("{'a', 'b'}", ("{'a', 'b'}",)),
        ("b'(9)", ("b'(9)",)),
        ("np", ("np",)),
    ],
)
def test_labels_as_python_and_numpy_print_them(label: str, accepted: tuple[str, ...]) -> None:
    assert accepted_answers(label) == accepted
