"""The shipped experiments pay a right model in full, on files of their data sets' schema."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rlavr_hpc.data.puzzles import make_dataset
from rlavr_hpc.types import Question
from tests.support.commands import command, metrics, run

SMALL = (
    "model.dtype=float32",
    "rollout=hf",
    "rollout.max_prompt_tokens=600",
    "rollout.max_response_tokens=64",
    "algorithm.batch=4",
    "algorithm.mini_batch=4",
    "algorithm.group_size=4",
    "eval_every=0",
    "save_every=0",
    "cluster.threads=1",
    "steps=1",
)


def dapo_row(number: int, problem: str, answer: str) -> dict[str, object]:
    """A row in the schema of DAPO-Math-17k: the prompt asks for a last line, not for a box."""
    prompt = (
        "Work through the problem below in steps. Let the last line of your response read Answer: "
        f"$Answer (no quotes), with your result for $Answer.\n\n{problem}\n\nPut the result on a "
        'line of its own after "Answer:".'
    )
    return {
        "data_source": "math_dapo",
        "prompt": [{"content": prompt, "role": "user"}],
        "ability": "MATH",
        "reward_model": {"ground_truth": answer, "style": "rule-lighteval/MATH_v2"},
        "extra_info": {"index": f"{number:04d}"},
    }


def knights_row(number: int, question: Question, answer: str) -> dict[str, object]:
    """A row in the schema of the public knights-and-knaves data set."""
    return {
        "data_source": "kk_logic",
        "prompt": [{"content": question.text, "role": "user"}],
        "ability": "logic",
        "reward_model": {
            "ground_truth": {"solution_text_format": answer, "statements": ""},
            "style": "rule",
        },
        "extra_info": {"index": number, "split": "train"},
    }


def label(row: dict[str, object]) -> str:
    """The true answer of a row."""
    truth = row["reward_model"]
    assert isinstance(truth, dict)
    return str(truth["ground_truth"])


def content(row: dict[str, object]) -> str:
    """The user's message of a row."""
    prompt = row["prompt"]
    assert isinstance(prompt, list)
    return str(prompt[0]["content"])


PROBLEMS = [dapo_row(i, f"What is {i} times 7?", str(7 * i)) for i in range(8)]
TEST_PROBLEMS = [dapo_row(i, f"What is {i} plus 50?", str(50 + i)) for i in range(2)]
PUZZLES = make_dataset([2], count=4, seed=0, held_out=False)
TEST_PUZZLES = make_dataset([2], count=1, seed=0, held_out=True)


@pytest.fixture(scope="module")
def right_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that knows every answer here, and gives it where the prompt asks for it."""
    pairs = [(content(row), f"I think.\n\nAnswer: {label(row)}") for row in PROBLEMS]
    pairs += [(content(row), f"I think.\n\nAnswer: ${label(row)}$") for row in TEST_PROBLEMS]
    pairs += [
        (q.text, f"<think>I think.</think>\n<answer>\n{data.answers[q.id]}\n</answer>")
        for data in (PUZZLES, TEST_PUZZLES)
        for q in data.questions
    ]
    folder = tmp_path_factory.mktemp("right_model")
    (folder / "pairs.json").write_text(json.dumps(pairs))
    done = command("tests.support.taught_model", str(folder))
    assert done.returncode == 0, done.stderr
    return folder / "model"


def test_the_mathematics_experiment_reads_the_line_that_its_prompts_ask_for(
    right_model: Path, tmp_path: Path
) -> None:
    pq.write_table(pa.Table.from_pylist(PROBLEMS * 3), tmp_path / "dapo-math-17k.parquet")
    pq.write_table(pa.Table.from_pylist(TEST_PROBLEMS), tmp_path / "aime24.parquet")
    done = run(
        "experiment=math",
        "eval.samples=2",
        f"model.path={right_model}",
        *SMALL,
        f"run_dir={tmp_path / 'r'}",
        environment={"RLAVR_DATA": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    start, first = metrics(tmp_path / "r")
    assert start["eval/held_out/mean@2"] > 0.9
    assert first["oracle/true_reward"] > 0.9
    assert first["oracle/vote_accuracy"] > 0.9


@pytest.mark.parametrize("own_file", [False, True])
def test_the_puzzles_experiment_pays_a_right_model_in_full(
    right_model: Path, tmp_path: Path, own_file: bool
) -> None:
    """With puzzles made here, and with a file in the schema of the public data set."""
    data: tuple[str, ...] = (
        "data.people=[2]",
        "data.count=4",
        "data.eval_people=[2]",
        "data.eval_count=1",
    )
    if own_file:
        rows = [knights_row(i, q, PUZZLES.answers[q.id]) for i, q in enumerate(PUZZLES.questions)]
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "kk.parquet")
        data = ("data=parquet", f"data.path={tmp_path / 'kk.parquet'}")
    done = run(
        "experiment=knights",
        *data,
        f"model.path={right_model}",
        *SMALL,
        f"run_dir={tmp_path / 'r'}",
    )
    assert done.returncode == 0, done.stderr
    row = metrics(tmp_path / "r")[1]
    assert row["oracle/vote_accuracy"] > 0.9
    assert row["oracle/true_reward"] > 0.9
