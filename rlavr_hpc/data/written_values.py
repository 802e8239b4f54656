"""Values written as text: JSON, or literals as Python prints them. Nothing in them is executed."""

from __future__ import annotations

import ast
import json

from rlavr_hpc.labels.text import json_integer

UNREADABLE = (ValueError, SyntaxError, RecursionError, MemoryError, TypeError)
"""What the two readers raise on a text that is neither."""


def parse_written(text: str) -> object:
    """The value that a text holds.

    Raises:
        ValueError: it is neither JSON nor a literal of Python, or nested too deeply.
    """
    try:
        return json.loads(text, parse_int=json_integer)
    except UNREADABLE:
        return _python_literal(text.strip())


def _python_literal(text: str) -> object:
    try:
        return ast.literal_eval(text)
    except UNREADABLE as error:
        raise ValueError(f"neither JSON nor a literal: {type(error).__name__}") from error
