"""What `rlavr grade` reads: lines of responses with their labels."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlavr_hpc.errors import UserError
from rlavr_hpc.labels.text import json_integer, label_text
from rlavr_hpc.types import Prompt, Rollout

QUESTION_KEYS = ("prompt", "problem", "question", "puzzle")


@dataclass(frozen=True, slots=True, kw_only=True)
class GradeRequest:
    """One line of the input."""

    id: Any
    prompt: Prompt
    answer: str
    rollouts: tuple[Rollout, ...]


def read_requests(path: Path, task: str) -> Iterator[GradeRequest]:
    """The lines of a file.

    Raises:
        UserError: a line is no such object, by its number.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, text in enumerate(file, start=1):
                if text.strip():
                    yield _line(_parse(text, path, number), f"{path}:{number}", number, task)
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text: {error}") from error


def _parse(text: str, path: Path, number: int) -> dict[str, Any]:
    try:
        row = json.loads(text, parse_int=json_integer)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}:{number}: not a JSON line: {error}") from error
    if not isinstance(row, dict):
        raise UserError(f"{path}:{number}: a JSON object was expected")
    return row


def _line(row: dict[str, Any], where: str, number: int, task: str) -> GradeRequest:
    rollouts = row.get("rollouts")
    if not isinstance(rollouts, list) or not all(isinstance(text, str) for text in rollouts):
        raise UserError(f"{where}: 'rollouts' must be a list of texts")
    question = next((row[key] for key in QUESTION_KEYS if isinstance(row.get(key), str)), "")
    unique = str(number)  # two lines may have the same id, or none
    return GradeRequest(
        id=row.get("id"),
        prompt=Prompt(id=unique, text=question, token_ids=(), task=task),
        answer=_answer(row.get("answer"), where),
        rollouts=tuple(
            Rollout(
                prompt_id=unique, sample=i, token_ids=(), logprobs=(), text=text, truncated=False
            )
            for i, text in enumerate(rollouts)
        ),
    )


def _answer(value: object, where: str) -> str:
    try:
        label = label_text(value)
    except ValueError as error:
        raise UserError(
            f"{where}: 'answer' must be a text, a number, or a list of these: {error}"
        ) from error
    if not label or (isinstance(value, list) and not all(map(label_text, value))):
        raise UserError(f"{where}: 'answer' must be a text, a number, or a list of these")
    return label
