"""Messages written as text: JSON, or a list as Python prints it. Everything else is a question."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from rlavr_hpc.data.written_values import UNREADABLE, parse_written
from rlavr_hpc.errors import UserError

BEGINNING = re.compile(
    r"""(?:array\()?\[?\s*\{\s*\\?["'](?:role|content|from|value|messages|conversations)\\?["']\s*:"""
)
"""How a text begins that holds messages."""
HEAD_CHARS = 200
"""In which it does."""
SENDER = re.compile(r"""["'](?:role|from)\\?["']""")


def written_messages(text: str, where: str) -> list[object] | None:
    """The list of messages that a text holds; None for a question's text.

    Args:
        text: a row's prompt.
        where: file and row, for errors.

    Raises:
        UserError: the text begins and ends as messages do, but cannot be read.
    """
    text = _unquoted(text.lstrip())
    if not _begins(text):
        return None
    try:
        return _as_messages(parse_written(text))
    except ValueError as error:
        if _is_followed(text) or not SENDER.search(text):
            return None
        raise UserError(
            f"{where}: 'prompt' looks like messages written as text, but cannot be read as JSON; "
            "mend it, or write the messages as a list"
        ) from error


def _unquoted(text: str) -> str:
    """What is inside, where a file writes the JSON text as JSON once more."""
    if not text.startswith('"'):
        return text
    try:
        inner = json.loads(text)
    except UNREADABLE:
        return text
    return inner if isinstance(inner, str) and _begins(inner.lstrip()) else text


def _begins(text: str) -> bool:
    return BEGINNING.match(text[:HEAD_CHARS]) is not None


def _is_followed(text: str) -> bool:
    """Whether JSON at the beginning is complete and words follow: messages quoted in a question."""
    try:
        _, end = json.JSONDecoder().raw_decode(text.lstrip())
    except UNREADABLE:
        return False
    return bool(text.lstrip()[end:].strip())


def _as_messages(value: object) -> list[object] | None:
    """The value if it is messages; None for other JSON, which is a question's text."""
    if isinstance(value, Mapping):
        value = value.get("messages", value.get("conversations", [value]))
    if not isinstance(value, list) or not value:
        return None
    keyed = all(isinstance(turn, Mapping) and {"role", "from"} & turn.keys() for turn in value)
    return value if keyed else None
