from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rlavr_hpc.config.data import ChatTemplate, DataConfig, DataKind, Overlong
from rlavr_hpc.data.dataset import Dataset, answers_fingerprint, questions_fingerprint
from rlavr_hpc.data.load_split import load_split
from rlavr_hpc.data.stream import PromptStream
from rlavr_hpc.data.tables import read_dataset
from rlavr_hpc.data.templates import prepare
from rlavr_hpc.errors import UserError
from rlavr_hpc.types import Message, Question, StepKey
from tests.support.groups import prompt


def jsonl(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(path: Path, kind: DataKind = DataKind.jsonl) -> Dataset:
    return read_dataset(path, kind, task=None)


def test_plain_rows_give_questions_and_keep_answers_apart(tmp_path: Path) -> None:
    data = read(jsonl(tmp_path / "d", {"problem": "1+1?", "answer": 2, "id": 7}))
    assert data.questions == (Question(id="7", messages=(), text="1+1?", task="math"),)
    assert data.answers == {"7": "2"}


def test_rows_tell_their_task_and_may_accept_several_answers(tmp_path: Path) -> None:
    rows = [
        {"prompt": "a", "answer": ["1/2", 0.5], "data_source": "math_dapo"},
        {"prompt": "b", "answer": "C", "data_source": "gpqa_diamond"},
        {"prompt": "c", "answer": 0.0000672},
        {"prompt": "d", "answer": 12.0, "data_source": "logic/kk"},
        {"prompt": "e", "answer": []},
    ]
    path = tmp_path / "d.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = read_dataset(path, DataKind.jsonl, task=None)
    assert [q.task for q in data.questions] == ["math", "choice", "math", "knights", "math"]
    answers = [data.answers.get(q.id) for q in data.questions]
    assert answers == ['["1/2", "0.5"]', "C", "0.0000672", "12", None]


def test_a_json_list_is_read_like_lines(tmp_path: Path) -> None:
    (tmp_path / "d").write_text(json.dumps([{"prompt": "a", "answer": "1"}, {"prompt": "b"}]))
    data = read(tmp_path / "d")
    assert [q.text for q in data.questions] == ["a", "b"]
    assert list(data.answers.values()) == ["1"]


def test_the_fields_parquet_schema_is_read(tmp_path: Path) -> None:
    row = {
        "prompt": [{"role": "user", "content": "who?"}],
        "reward_model": {"ground_truth": {"solution_text_format": "(1) Ann is a knight"}},
        "data_source": "kk_logic",
        "extra_info": {"index": 3},
    }
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "d.parquet")
    data = read(tmp_path / "d.parquet", DataKind.parquet)
    [question] = data.questions
    assert question.messages == (Message(role="user", content="who?"),)
    assert question.task == "knights"
    assert data.answers == {question.id: "(1) Ann is a knight"}


@pytest.mark.parametrize("answer", [None, "", float("nan"), []])
def test_an_empty_answer_is_no_label(tmp_path: Path, answer: object) -> None:
    assert read(jsonl(tmp_path / "d", {"prompt": "a", "answer": answer})).answers == {}


def test_a_repeated_prompt_is_one_prompt_so_its_label_is_bought_once(tmp_path: Path) -> None:
    rows = [{"prompt": "a", "id": 1}, {"prompt": "a", "id": 2, "answer": "5"}, {"prompt": "b"}]
    data = read(jsonl(tmp_path / "d", *rows))
    assert [q.text for q in data.questions] == ["a", "b"]
    assert data.answers == {"1": "5"}
    assert "1 rows repeat" in data.findings[0].text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no rows"),
        ('{"prompt": "a"}\n{"prompt"', "line 2: not JSON"),
        ('{"answer": 1}\n', "row 1: no text"),
        ('{"prompt": "  "}\n', "row 1: no text"),
        ('{"prompt": [{"text": "a"}]}\n', "row 1: 'prompt' is not a list of role"),
        ('{"prompt": "a", "id": 1}\n{"prompt": "b", "id": 1}\n', "row 2: id '1'"),
        ("[1]", "row 1: a JSON object"),
    ],
)
def test_broken_data_is_refused_with_its_place(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "d").write_text(content)
    with pytest.raises(UserError, match=message):
        read(tmp_path / "d")


def test_a_missing_file_and_a_false_parquet_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        read(tmp_path / "nowhere")
    (tmp_path / "d.parquet").write_text("no parquet")
    with pytest.raises(UserError, match="not a readable parquet"):
        read(tmp_path / "d.parquet", DataKind.parquet)


def test_deleting_labels_changes_the_labels_fingerprint_only(tmp_path: Path) -> None:
    with_label = read(jsonl(tmp_path / "a", {"prompt": "a", "answer": "1"}))
    without = read(jsonl(tmp_path / "b", {"prompt": "a"}))
    other = read(jsonl(tmp_path / "c", {"prompt": "b", "answer": "1"}))
    one, two, three = (questions_fingerprint(d.questions) for d in (with_label, without, other))
    assert one == two != three
    assert answers_fingerprint(with_label.answers) != answers_fingerprint(without.answers)


def test_the_testbed_holds_out_hopeful_questions_that_training_never_sees() -> None:
    split = load_split(DataConfig(holdout=0.15))
    train, held = split.train.ids(), split.held_out.ids()
    assert not train & held
    assert not any(name.startswith(("f6", "f7")) for name in held)
    assert len(train) == 1152 - round(0.15 * 1152)


def test_a_file_can_be_split_or_have_a_held_out_file(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "d", *({"prompt": f"q{i}", "answer": "1"} for i in range(20)))
    config = DataConfig(kind=DataKind.jsonl, path=str(path), holdout=0.25, eval_limit=3)
    split = load_split(config)
    assert (len(split.train.questions), len(split.held_out.questions)) == (15, 3)
    other = jsonl(tmp_path / "e", {"prompt": "e", "answer": "1"})
    config = DataConfig(kind=DataKind.jsonl, path=str(path), eval_path=str(other))
    assert [q.text for q in load_split(config).held_out.questions] == ["e"]


class FakeTokenizer:
    """One token per character."""

    def __init__(self, template: str | None) -> None:
        self.chat_template = template

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        return ([0] if add_special_tokens else []) + [ord(c) for c in text]

    def apply_chat_template(self, conversation: list[dict[str, str]], **options: Any) -> str:  # noqa: ANN401
        thinking = "<think>" if options.get("enable_thinking") else ""
        return "|".join(f"{m['role']}:{m['content']}" for m in conversation) + thinking


def question(text: str) -> Question:
    return Question(id=text, messages=(Message(role="user", content=text),), text=text, task="math")


def test_auto_applies_a_template_unless_the_prompt_has_one_already() -> None:
    config = DataConfig()
    fresh = prepare([question("hi")], FakeTokenizer("t"), config=config, max_tokens=99)
    marked = prepare([question("<|im_start|>hi")], FakeTokenizer("t"), config=config, max_tokens=99)
    bare = prepare([question("hi")], FakeTokenizer(None), config=config, max_tokens=99)
    assert [p.templated for p in (fresh, marked, bare)] == [True, False, False]
    assert fresh.prompts[0].text == "user:hi"
    assert marked.prompts[0].text == "<|im_start|>hi"


def test_text_with_a_template_gets_no_second_beginning_of_sequence() -> None:
    config = DataConfig()
    questions = [question("<|begin_of_text|>hi"), question("plain")]
    marked, plain = prepare(questions, FakeTokenizer(None), config=config, max_tokens=99).prompts
    assert (marked.token_ids[0], plain.token_ids[0]) == (ord("<"), 0)


def test_a_system_prompt_and_the_thinking_switch_reach_the_template() -> None:
    config = DataConfig(system_prompt="be brief", enable_thinking=True)
    made = prepare([question("hi")], FakeTokenizer("t"), config=config, max_tokens=99)
    assert made.prompts[0].text == "system:be brief|user:hi<think>"


def test_applying_a_template_that_does_not_exist_is_refused() -> None:
    config = DataConfig(chat_template=ChatTemplate.apply)
    with pytest.raises(UserError, match="no chat template"):
        prepare([question("hi")], FakeTokenizer(None), config=config, max_tokens=99)


def test_a_long_prompt_is_counted_and_left_out_or_refused() -> None:
    questions = [question("short"), question("far too long")]
    made = prepare(questions, FakeTokenizer(None), config=DataConfig(), max_tokens=8)
    assert ([p.id for p in made.prompts], made.overlong) == (["short"], 1)
    strict = DataConfig(overlong=Overlong.error)
    with pytest.raises(UserError, match="far too long"):
        prepare(questions, FakeTokenizer(None), config=strict, max_tokens=8)
    with pytest.raises(UserError, match="2 of 2 prompts are longer"):
        prepare(questions, FakeTokenizer(None), config=DataConfig(), max_tokens=2)


STREAM = PromptStream(prompts=[prompt(f"p{i}") for i in range(10)], batch=3)


def batch(step: int, *, seed: int = 1, branch: int = 0) -> list[str]:
    return [p.id for p in STREAM.at(StepKey(seed=seed, step=step, branch=branch))]


def test_an_epoch_shows_each_prompt_at_most_once_and_drops_the_last_partial_batch() -> None:
    seen = Counter(name for step in (1, 2, 3) for name in batch(step))
    assert len(seen) == 9
    assert set(seen.values()) == {1}


def test_the_batch_is_a_function_of_seed_branch_and_step_alone() -> None:
    assert batch(5) == batch(5)
    assert batch(1) != batch(4)
    assert batch(1) != batch(1, seed=2)
    assert batch(1) != batch(1, branch=1)


def test_fewer_prompts_than_a_batch_are_refused() -> None:
    with pytest.raises(UserError, match=r"lower algorithm\.batch"):
        PromptStream(prompts=[prompt()], batch=2)
