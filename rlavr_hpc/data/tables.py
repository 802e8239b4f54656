"""Readers of parquet and JSON files in the field's schema or in plain rows.

The field's schema: `prompt` (a list of chat messages, or text), `reward_model.ground_truth`,
`data_source`, `extra_info`. Plain rows: `prompt` or `problem`, `answer`, `id`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rlavr_hpc.config.data import DataKind
from rlavr_hpc.data.dataset import Dataset
from rlavr_hpc.data.findings import DataFinding, FindingLevel
from rlavr_hpc.data.row_tasks import RowTasks, row_task
from rlavr_hpc.errors import UserError
from rlavr_hpc.io import canonical_json
from rlavr_hpc.labels.text import answer_text, several_answers
from rlavr_hpc.types import Message, Question

Row = Mapping[str, Any]


def read_dataset(path: Path, kind: DataKind, *, task: str | None) -> Dataset:
    """Read one file.

    Args:
        path: the file.
        kind: parquet, or jsonl (JSON lines, or one JSON list).
        task: how answers are read; None = by each row's `data_source`.

    Raises:
        UserError: the file is missing, empty, broken, or a row has no prompt or an id twice.
    """
    if not path.is_file():
        raise UserError(f"data file {path} does not exist")
    rows = READERS[kind](path)
    dataset = _collect(rows, path, task)
    if not dataset.questions:
        raise UserError(f"data file {path} holds no rows")
    return dataset


def _collect(rows: Iterator[tuple[int, Row]], path: Path, task: str | None) -> Dataset:
    questions: dict[str, Question] = {}
    answers: dict[str, str] = {}
    first_with_text: dict[str, str] = {}
    repeated, tasks = 0, RowTasks()
    for number, row in rows:
        where = f"{path}, row {number}"
        answer = _answer(row, where)
        source, choices = str(row.get("data_source") or ""), row.get("choices")
        sorted_to = row_task(source, named=task, has_choices=isinstance(choices, list))
        tasks.saw(sorted_to, answer)
        question = _question(row, where, sorted_to.task)
        body = canonical_json([question.text, [[m.role, m.content] for m in question.messages]])
        if body in first_with_text:  # one prompt, so that no label is paid for twice
            repeated += 1
        elif question.id in questions:
            raise UserError(f"{where}: id {question.id!r} stands in an earlier row too")
        else:
            first_with_text[body] = question.id
            questions[question.id] = question
        if answer is not None:
            answers.setdefault(first_with_text[body], answer)
    merged = DataFinding(
        kind="repeated_prompt",
        level=FindingLevel.note,
        text=f"{path}: {repeated} rows repeat an earlier prompt and were merged with it",
        count=repeated,
    )
    return Dataset(
        questions=tuple(questions.values()),
        answers=answers,
        findings=(*((merged,) if repeated else ()), *tasks.findings(path)),
    )


def _question(row: Row, where: str, task: str) -> Question:
    raw = row.get("prompt", row.get("problem", row.get("question")))
    messages = _messages(raw, where)
    text = messages[-1].content if messages else raw
    if not isinstance(text, str) or not text.strip():
        raise UserError(f"{where}: no text under 'prompt' or 'problem'")
    identity = canonical_json([[m.role, m.content] for m in messages] or text)
    given = row.get("id")
    return Question(
        id=str(given) if given is not None else _content_id(identity),
        messages=messages,
        text=text,
        task=task,
    )


def _content_id(text: str) -> str:
    return "p-" + hashlib.sha256(text.encode()).hexdigest()[:12]


def _messages(raw: object, where: str) -> tuple[Message, ...]:
    if not isinstance(raw, list):
        return ()
    try:
        return tuple(Message(role=str(m["role"]), content=str(m["content"])) for m in raw)
    except (TypeError, KeyError) as error:
        raise UserError(f"{where}: 'prompt' is not a list of role/content messages") from error


def _answer(row: Row, where: str) -> str | None:
    reward_model = row.get("reward_model")
    value = reward_model.get("ground_truth") if isinstance(reward_model, Mapping) else None
    if value is None:
        value = row.get("answer")
    if isinstance(value, Mapping):
        value = value.get("solution_text_format", value.get("answer"))
    several = value if isinstance(value, list) else [value]
    try:
        answers = [text for one in several if (text := answer_text(one))]
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error
    return several_answers(answers) if answers else None


def _read_parquet(path: Path) -> Iterator[tuple[int, Row]]:
    try:
        yield from enumerate(pq.read_table(path).to_pylist(), start=1)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path} is not a readable parquet file: {error}") from error


def _read_json(path: Path) -> Iterator[tuple[int, Row]]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text: {error}") from error
    rows: Iterator[tuple[int, Any]]
    if text.lstrip().startswith("["):
        rows = enumerate(_parse(text, path, 1), start=1)
    else:
        lines = enumerate(text.split("\n"), start=1)
        rows = ((n, _parse(line, path, n)) for n, line in lines if line.strip())
    for number, row in rows:
        if not isinstance(row, dict):
            raise UserError(f"{path}, row {number}: a JSON object was expected")
        yield number, row


def _parse(text: str, path: Path, number: int) -> Any:  # noqa: ANN401
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path}, line {number + error.lineno - 1}: not JSON: {error.msg}"
        ) from error


READERS: dict[DataKind, Callable[[Path], Iterator[tuple[int, Row]]]] = {
    DataKind.parquet: _read_parquet,
    DataKind.jsonl: _read_json,
}
