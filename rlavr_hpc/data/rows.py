"""From a file's row to a question and its label, kept apart.

The field's schema: `prompt` (a list of chat messages, or text), `reward_model.ground_truth`,
`data_source`, `extra_info`. Plain rows: `prompt`, `problem` or `question`, `answer`, `choices`,
`id`. Other names through `data.columns`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rlavr_hpc.config.data import ChoiceRule
from rlavr_hpc.data.choices import Options, read_options
from rlavr_hpc.data.columns import Columns
from rlavr_hpc.data.messages import read_messages, refuse_media
from rlavr_hpc.data.row_labels import RowLabel, row_label, solution_label
from rlavr_hpc.data.row_tasks import RowTask, row_task
from rlavr_hpc.data.table_row import FileRow, RowRules
from rlavr_hpc.errors import UserError
from rlavr_hpc.io import canonical_json
from rlavr_hpc.types import Message, Question


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRow:
    """A row's question and label."""

    question: Question
    body: bytes
    """Equal for equal prompts, whatever their ids."""
    label: RowLabel
    rendered: bool
    """Whether the options were put below the prompt."""
    sorted_to: RowTask
    """Its task, and why."""


def read_row(row: FileRow, columns: Columns, rules: RowRules) -> ReadRow:
    """Read one row.

    Raises:
        UserError: it has no prompt, or options that cannot be read or may not be rendered.
    """
    values = row.values
    raw = columns.value(values, "prompt")
    messages = read_messages(raw, row.where)
    refuse_media(values, row.where)
    text = messages[-1].content if messages else raw
    if not isinstance(text, str) or not text.strip():
        raise UserError(f"{row.where}: {columns.no_text()}")
    options = None if rules.choices is ChoiceRule.ignore else _options(row, columns)
    options = options and options.as_in(_all_text(messages, text))
    render = options is not None and not options.stand_in(_all_text(messages, text))
    if options is not None and render:
        if rules.choices is ChoiceRule.refuse:
            raise RefusedChoicesError(row.where)
        messages, text = _with_options(messages, text, options)
    source = str(columns.value(values, "data_source") or "")
    sorted_to = row_task(source, named=rules.task, has_choices=options is not None)
    task = sorted_to.task
    options = options if task == "choice" else None
    label = row_label(columns.values(values, "answer"), task=task, options=options)
    solution = columns.solution(values)
    if solution is not None:
        label = solution_label(solution, task=task, options=options)
    given = columns.value(values, "id")
    identity = canonical_json([[m.role, m.content] for m in messages] or text)
    return ReadRow(
        question=Question(
            id=str(given) if given is not None else _content_id(identity),
            messages=messages,
            text=text,
            task=task,
            where=row.where,
        ),
        body=hashlib.blake2b(f"{len(messages)} {identity}".encode(), digest_size=16).digest(),
        label=label,
        rendered=render,
        sorted_to=sorted_to,
    )


class RefusedChoicesError(UserError):
    """A row has options that its prompt does not show, and `data.choices=refuse`."""

    def __init__(self, where: str) -> None:
        super().__init__(
            f"{where}: its choices do not stand in its prompt, and data.choices=refuse; with "
            "data.choices=render they are put below it, with data.choices=ignore they are dropped"
        )


def _options(row: FileRow, columns: Columns) -> Options | None:
    try:
        return read_options(columns.options(row.values))
    except ValueError as error:
        raise UserError(f"{row.where}: its choices cannot be read: {error}") from error


def _all_text(messages: Sequence[Message], text: str) -> str:
    return "\n".join(message.content for message in messages) or text


def _with_options(
    messages: tuple[Message, ...], text: str, options: Options
) -> tuple[tuple[Message, ...], str]:
    """The prompt with its options behind the last thing that the user says."""
    if not messages:
        return (), f"{text.rstrip()}\n{options.rendered()}"
    users = [n for n, message in enumerate(messages) if message.role == "user"]
    place = users[-1] if users else len(messages) - 1
    asked = messages[place]
    changed = replace(asked, content=f"{asked.content.rstrip()}\n{options.rendered()}")
    messages = (*messages[:place], changed, *messages[place + 1 :])
    return messages, messages[-1].content


def _content_id(text: str) -> str:
    return "p-" + hashlib.sha256(text.encode()).hexdigest()[:12]
