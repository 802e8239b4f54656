"""What a row's `prompt` may hold, and what is refused with its row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rlavr_hpc.config.data import DataKind
from rlavr_hpc.data.messages import read_messages, refuse_media
from rlavr_hpc.data.tables import read_dataset
from rlavr_hpc.errors import UserError
from rlavr_hpc.types import Message

WHERE = "d.jsonl, row 3"


def pairs(raw: object) -> list[tuple[str, str]]:
    return [(m.role, m.content) for m in read_messages(raw, WHERE)]


def user(content: object) -> dict[str, object]:
    return {"role": "user", "content": content}


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "text", "text": "What is 1+2?"}],
        [{"type": "text", "text": "What "}, {"type": "text", "text": "is 1+2?"}],
        [{"type": "input_text", "text": "What is 1+2?"}],
        [{"text": "What is 1+2?"}],
        ["What is ", "1+2?"],
        {"type": "text", "text": "What is 1+2?"},
        [{"type": "text", "text": "What is 1+2?", "image_url": None}],
        np.array([{"type": "text", "text": "What is 1+2?"}], dtype=object),
        [None, {"type": "text", "text": "What is 1+2?"}, {"type": "text", "text": None}],
    ],
)
def test_parts_that_are_text_are_joined(content: object) -> None:
    assert pairs([user(content)]) == [("user", "What is 1+2?")]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image"},
        {"type": "image_url", "image_url": {"url": "http://x"}},
        {"type": "input_image", "image_url": "x"},
        {"type": "video", "video": "f.mp4"},
        {"type": "input_audio", "input_audio": {"data": "x"}},
        {"type": None, "text": None, "image": "f.png"},
        {"type": "file", "file": {"id": "1"}},
        {"type": "tool_use", "text": "x"},
    ],
)
def test_parts_that_are_no_text_are_refused_with_the_row(part: dict[str, object]) -> None:
    with pytest.raises(UserError, match=r"d\.jsonl, row 3: message 1: .*leave"):
        read_messages([user([{"type": "text", "text": "Look."}, part])], WHERE)


TURNS = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What's 1+2?"}]
READ = [("system", "Be brief."), ("user", "What's 1+2?")]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(TURNS),
        "  " + json.dumps(TURNS, indent=2) + "\n",
        repr(TURNS),
        json.dumps(json.dumps(TURNS)),
        json.dumps({"messages": TURNS}),
        json.dumps([{"content": t["content"], "role": t["role"]} for t in TURNS]),
    ],
)
def test_messages_written_as_text_are_read(text: str) -> None:
    assert pairs(text) == READ


def test_one_message_and_other_containers_are_read() -> None:
    assert pairs(json.dumps(TURNS[1])) == READ[1:]
    assert pairs(TURNS[1]) == READ[1:]
    assert pairs({"messages": TURNS}) == READ
    assert pairs(tuple(TURNS)) == READ
    assert pairs(np.array(TURNS, dtype=object)) == READ
    assert pairs([{"from": "human", "value": "Hi"}]) == [("user", "Hi")]


@pytest.mark.parametrize(
    "text",
    [
        "What is 1+2?",
        "[1, 2, 3] has how many members?",
        '{"a": 1}',
        '[{"name": "Ann", "age": 3}]',
        '{"value": x} Which x makes this JSON?',
        '[{"role": "user", "content": "hi"}] How many messages are these?',
        '{"role": "user", "content": "hi"}\nWhat is the role?',
        '["a", "b"]',
        "",
        '"quoted"',
    ],
)
def test_a_question_that_holds_json_stays_a_question(text: str) -> None:
    assert read_messages(text, WHERE) == ()


@pytest.mark.parametrize(
    "text",
    [
        '[{"role": "user", "content": "What is 1+',
        '[{"role": "user", "content": "a "quoted" word"}]',
        "[{'role': 'user', 'content': 'a'}\n {'role': 'user', 'content': 'b'}]",
        "array([{'role': 'user', 'content': 'a'}], dtype=object)",
        '[{"role": "user", "content": undefined}]',
    ],
)
def test_messages_in_a_text_that_cannot_be_read_are_refused_with_the_row(text: str) -> None:
    with pytest.raises(UserError, match="row 3: 'prompt' looks like messages written as text"):
        read_messages(text, WHERE)


@pytest.mark.parametrize("nothing", [None, [], [None], [{"type": "text", "text": None}]])
def test_turns_without_content_are_left_out(nothing: object) -> None:
    turns = [{"role": "system", "content": nothing}, user("Hi"), user(nothing)]
    assert pairs(turns) == [("user", "Hi")]
    with pytest.raises(UserError, match="row 3: no message of 'prompt' has content"):
        read_messages([user(nothing)], WHERE)


@pytest.mark.parametrize(
    ("turn", "message"),
    [
        (
            {"role": "teacher", "content": "x"},
            "message 1: role 'teacher' is unknown; there",
        ),
        ({"role": None, "content": "x"}, "role None is unknown"),
        ({"role": "User", "content": "x"}, "role 'User' is unknown"),
        ({"from": "bing", "value": "x"}, "role 'bing' is unknown"),
        ({"text": "x"}, "not a list of role/content messages: message 1 has the keys text"),
        ("hello", "message 1 has 'hello'"),
        ({"role": "user", "content": True}, "its content is True, not text"),
        ({"role": "user", "content": [5]}, "a part of its content is 5"),
        ({"role": "user", "content": [{"type": "text", "text": 5}]}, "a part's text is 5"),
        (
            {"role": "assistant", "content": None, "tool_calls": [{"id": 1}]},
            "calls of tools are not supported",
        ),
    ],
)
def test_what_is_no_message_is_refused_by_name(turn: object, message: str) -> None:
    with pytest.raises(UserError, match=rf"row 3: .*{message}"):
        read_messages([turn], WHERE)


@pytest.mark.parametrize("raw", [5, True, b"x"])
def test_a_prompt_that_is_neither_text_nor_messages_is_refused(raw: object) -> None:
    with pytest.raises(UserError, match="row 3: 'prompt' is neither text nor a list"):
        read_messages(raw, WHERE)


@pytest.mark.parametrize(
    "row",
    [
        {"images": [{"bytes": b"x", "path": None}]},
        {"image": "figure.png"},
        {"videos": ["f.mp4"]},
        {"audio": {"array": [0.1], "path": None}},
        {"image_2": {"bytes": b"x"}},
    ],
)
def test_columns_with_pictures_are_refused_with_the_row(row: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"row 3: column '\w+' is not empty"):
        refuse_media({"prompt": "x", **row}, WHERE)


@pytest.mark.parametrize(
    "row",
    [{"images": None}, {"images": []}, {"image": ""}, {"image": {"bytes": None, "path": None}}, {}],
)
def test_empty_columns_for_pictures_do_no_harm(row: dict[str, Any]) -> None:
    refuse_media({"prompt": "x", "imagery": "seen", **row}, WHERE)
    with pytest.raises(UserError, match="column 'images' is not empty"):
        refuse_media({"prompt": "x", **row, "images": ["a.png"]}, WHERE)


def test_a_file_gives_messages_and_the_place_of_each(tmp_path: Path) -> None:
    path = tmp_path / "d.parquet"
    rows = [{"prompt": [user([{"type": "text", "text": f"{n}?"}])], "answer": "1"} for n in (1, 2)]
    pq.write_table(pa.Table.from_pylist(rows), path)
    data = read_dataset(path, DataKind.parquet, task=None)
    assert [q.messages for q in data.questions] == [
        (Message(role="user", content=f"{n}?"),) for n in (1, 2)
    ]
    assert [q.where for q in data.questions] == [f"{path}, row 1", f"{path}, row 2"]
    pictures = [{**row, "images": [{"path": "1.png"}]} for row in rows]
    pq.write_table(pa.Table.from_pylist(pictures), path)
    with pytest.raises(UserError, match=r"d\.parquet, row 1: column 'images'"):
        read_dataset(path, DataKind.parquet, task=None)
