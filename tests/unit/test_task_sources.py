"""Which task reads a row: exact names of `data_source`, and what is told or refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rlavr_hpc.answers.tasks.registry import TASKS
from rlavr_hpc.config.data import DataKind
from rlavr_hpc.data.dataset import Dataset
from rlavr_hpc.data.row_tasks import RowTasks, is_value, row_task
from rlavr_hpc.data.source_names import NOT_READ, TASK_OF_SOURCE, short_name
from rlavr_hpc.data.tables import read_dataset
from rlavr_hpc.errors import UserError


def read(path: Path, *rows: dict[str, Any], task: str | None = None) -> Dataset:
    lines = [json.dumps({"prompt": f"q{i}", **row}) for i, row in enumerate(rows)]
    path.write_text("\n".join(lines))
    return read_dataset(path, DataKind.jsonl, task=task)


@pytest.mark.parametrize(
    ("source", "task"),
    [
        ("openai/gsm8k", "math"),
        ("gsm8k", "math"),
        ("GSM8K", "math"),
        ("/scratch/akkerman/gsm8k", "math"),
        ("/home/knightley/mmlu-lab/gsm8k.parquet", "math"),
        ("C:\\data\\kk\\gsm8k.jsonl", "math"),
        ("math_dapo", "math"),
        ("DigitalLearningGmbH/MATH-lighteval", "math"),
        ("lighteval/MATH", "math"),
        ("HuggingFaceH4/MATH-500", "math"),
        ("HuggingFaceH4/aime_2024", "math"),
        ("numina_olympiads", "math"),
        ("cais/mmlu", "choice"),
        ("TIGER-Lab/MMLU-Pro", "choice"),
        ("gpqa_diamond", "choice"),
        ("allenai/ai2_arc", "choice"),
        ("kk_logic", "knights"),
        ("logic/kk", "knights"),
        ("K-and-K/knights-and-knaves", "knights"),
        ("searchR1_hotpotqa", "text"),
        ("nq", "text"),
    ],
)
def test_a_known_name_or_the_end_of_a_path_decides(source: str, task: str) -> None:
    assert TASK_OF_SOURCE[short_name(source)] == task


def test_every_known_name_is_written_as_it_is_looked_up_and_has_one_meaning() -> None:
    names = [*TASK_OF_SOURCE, *NOT_READ]
    assert [name for name in names if short_name(name) != name] == []
    assert len(names) == len(set(names))
    assert set(TASK_OF_SOURCE.values()) == set(TASKS)


@pytest.mark.parametrize("source", ["bookkeeping", "marching", "my_mmlu_notes", "search", "kkk"])
def test_a_part_of_a_name_decides_nothing(tmp_path: Path, source: str) -> None:
    data = read(tmp_path / "d", {"data_source": source, "answer": "4"})
    assert [question.task for question in data.questions] == ["math"]
    [told] = [f for f in data.findings if f.kind == "unknown_source"]
    assert (told.level, told.count) == ("warning", 1)
    assert f"{source!r}" in told.text


def test_it_is_told_how_many_rows_go_to_which_task_and_why(tmp_path: Path) -> None:
    sources = ["gsm8k", "gsm8k", "math_dapo", "cais/mmlu", None]
    rows = [{"data_source": source, "answer": "4"} for source in sources]
    told = read(tmp_path / "d", *rows, {"choices": ["1", "2"], "answer": "B"}).findings[-1]
    assert (told.kind, told.level, told.count) == ("tasks", "note", 6)
    assert told.text == (
        f"{tmp_path}/d: 4 rows go to task math (data_source 'gsm8k', data_source 'math_dapo', the "
        "default: they name no data_source); 2 rows go to task choice (data_source 'cais/mmlu', "
        "they have choices)"
    )


def test_rows_whose_answers_no_task_reads_are_refused_with_their_numbers(tmp_path: Path) -> None:
    tests = json.dumps({"inputs": ["39\n"], "outputs": ["78\n"]})
    good = [{"data_source": "numina_olympiads", "answer": "4"}] * 2
    bad = [{"data_source": "codecontests", "answer": tests}] * 3
    with pytest.raises(UserError) as told:
        read(tmp_path / "d", *good, *bad, {"data_source": "my/poems", "answer": "Ode to a cat"})
    assert "'codecontests' (3 rows: its answers are programs" in str(told.value)
    assert "'my/poems' (1 rows: no known name" in str(told.value)
    assert "data.task=math" in str(told.value)
    assert "numina" not in str(told.value)


def test_they_are_read_when_the_config_names_a_task(tmp_path: Path) -> None:
    data = read(tmp_path / "d", {"data_source": "codecontests", "answer": "x y z"}, task="mine")
    assert [question.task for question in data.questions] == ["mine"]
    assert [finding.text for finding in data.findings] == [
        f"{tmp_path}/d: 1 rows go to task mine (named by the config)"
    ]


def test_an_unknown_source_without_labels_is_mathematics(tmp_path: Path) -> None:
    data = read(tmp_path / "d", {"data_source": "mine"}, {"data_source": "mine"})
    assert [question.task for question in data.questions] == ["math", "math"]


def test_half_of_the_labels_of_an_unknown_source_decide() -> None:
    for words, refused in ((1, False), (2, True)):
        tasks = RowTasks()
        for label in ["4", *["a sentence of words"] * words]:
            tasks.saw(row_task("made", named=None, has_choices=False), label)
        if refused:
            with pytest.raises(UserError, match="'made' "):
                tasks.findings("d")
        else:
            assert tasks.findings("d")


@pytest.mark.parametrize(
    "label",
    [
        "4",
        "-1.5e3",
        "1/2",
        r"\frac{1}{2}",
        r"x^2+\sin x",
        "12 apples",
        r"5\text{ metres per second}",
        "(1, 2)",
        r"\{1,2\}",
        "x = 5",
        "B",
        "True",
        "no",
        '["4", "four"]',
        "She buys two and pays the rest.\n#### 45",
        r"So it is \boxed{7}.",
        "30%",
        "$1,200$",
        "\u00bd",
        "9" * 6000,
    ],
)
def test_a_label_that_reads_as_mathematics(label: str) -> None:
    assert is_value(label)


@pytest.mark.parametrize(
    "label",
    [
        "Paris",
        "Ode to a cat",
        '{"inputs": ["39"], "outputs": ["78"]}',
        "def f(x): return x",
        "3 men went to the river in 1901",
        "",
    ],
)
def test_a_label_that_does_not(label: str) -> None:
    assert not is_value(label)
