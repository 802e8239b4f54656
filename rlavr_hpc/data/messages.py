"""From what a row holds under `prompt` to the messages of a chat.

A prompt is text, a list of messages, or text that holds such a list as JSON or as Python writes it.
A message's content is text, or parts of which all are text. Turns without content are left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from rlavr_hpc.data.message_text import written_messages
from rlavr_hpc.errors import UserError
from rlavr_hpc.types import Message

ROLES = ("system", "developer", "user", "assistant", "tool")
"""What a message may come from; which of them a model takes is its template's business."""
ROLE_NAMES = {"human": "user", "gpt": "assistant"}
"""Names in the `from`/`value` form of messages -> roles."""
MEDIA = ("image", "video", "audio")
MEDIA_COLUMN = re.compile(rf"(?:{'|'.join(MEDIA)})s?(?:_[0-9]+)?")
TEXT_PARTS = ("text", "input_text", "output_text")


def read_messages(raw: object, where: str) -> tuple[Message, ...]:
    """The messages of one row's prompt; empty for plain text, and for what is neither.

    Args:
        raw: the row's value: text, messages, one message, or `{"messages": [...]}`.
        where: file and row, for errors.

    Raises:
        UserError: it is no list of messages, or a message holds a picture, a call of a tool, or
            comes from nobody known; or no turn has content.
    """
    if isinstance(raw, str):
        raw = written_messages(raw, where)
    if raw is None:
        return ()
    if isinstance(raw, Mapping):
        raw = raw.get("messages", raw.get("conversations", [raw]))
    turns = _as_list(raw)
    if turns is None:
        raise UserError(f"{where}: 'prompt' is neither text nor a list of role/content messages")
    if not turns:
        return ()
    read = [_message(turn, where, n) for n, turn in enumerate(turns, start=1)]
    messages = tuple(message for message in read if message is not None)
    if not messages:
        raise UserError(f"{where}: no message of 'prompt' has content; leave the row out")
    return messages


def refuse_media(row: Mapping[str, Any], where: str) -> None:
    """Refuse a row that brings pictures, films or sound in a column of its own.

    Raises:
        UserError: such a column holds something.
    """
    for column, value in row.items():
        if value is None or not _is_medium(column) or _is_empty(value):
            continue
        raise UserError(
            f"{where}: column {column!r} is not empty, and models here read text alone; leave such "
            "rows out, or the column, if the questions can be answered without it"
        )


@cache
def _is_medium(column: str) -> bool:
    return bool(MEDIA_COLUMN.fullmatch(column))


def _is_empty(value: object) -> bool:
    """Whether a column's value holds nothing, at any depth."""
    inner = list(value.values()) if isinstance(value, Mapping) else _as_list(value)
    return value in (None, "", b"") if inner is None else all(map(_is_empty, inner))


def _as_list(value: object) -> list[Any] | None:
    """A list, tuple or array as a list; None for anything else."""
    if isinstance(value, list | tuple):
        return list(value)
    made = value.tolist() if hasattr(value, "tolist") else None  # an array of NumPy
    return made if isinstance(made, list) else None


def _message(turn: object, where: str, number: int) -> Message | None:
    """One turn; None where it has no content."""
    role, content = _role_and_content(turn, where, number)
    where = f"{where}: message {number}"
    if isinstance(turn, Mapping) and turn.get("tool_calls"):
        raise UserError(f"{where}: calls of tools are not supported; leave the row out")
    if role not in ROLES:
        raise UserError(
            f"{where}: role {_short(role)} is unknown; there are {', '.join(ROLES)}; rename it in "
            "the file"
        )
    text = _text(content, where)
    return None if text is None else Message(role=str(role), content=text)


def _role_and_content(turn: object, where: str, number: int) -> tuple[object, object]:
    found = _short(turn)
    if isinstance(turn, Mapping):
        if "role" in turn and "content" in turn:
            return turn["role"], turn["content"]
        if "from" in turn and "value" in turn:
            return ROLE_NAMES.get(str(turn["from"]), turn["from"]), turn["value"]
        found = f"the keys {', '.join(map(str, turn)) or '(none)'}"
    raise UserError(
        f"{where}: 'prompt' is not a list of role/content messages: message {number} has {found}"
    )


def _text(content: object, where: str) -> str | None:
    """The text of a content; None where there is none."""
    if content is None or isinstance(content, str):
        return content
    if isinstance(content, Mapping):
        return _part(content, where)
    parts = _as_list(content)
    if parts is not None:
        texts = [_part(part, where) for part in parts]
        there = [text for text in texts if text is not None]
        return "".join(there) if there else None
    if isinstance(content, int | float) and not isinstance(content, bool):
        return str(content)
    raise UserError(f"{where}: its content is {_short(content)}, not text")


def _part(part: object, where: str) -> str | None:
    """The text of one part of a content."""
    if part is None or isinstance(part, str):
        return part
    if not isinstance(part, Mapping):
        raise UserError(f"{where}: a part of its content is {_short(part)}, not text")
    kind = str(part.get("type") or "text")
    keys = [str(key) for key, value in part.items() if value is not None]
    medium = next((m for m in MEDIA if any(m in name.lower() for name in (kind, *keys))), None)
    if medium is not None:
        raise UserError(
            f"{where}: a part of its content is {kind!r} ({medium}), and models here read text "
            "alone; leave such rows out"
        )
    text = part.get("text", part.get("content"))
    if kind not in TEXT_PARTS:
        raise UserError(
            f"{where}: a part of its content is {kind!r}; only parts of type 'text' are read; "
            "leave the row out, or write the part as text"
        )
    if text is not None and not isinstance(text, str):
        raise UserError(f"{where}: a part's text is {_short(text)}, not text")
    return text


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
