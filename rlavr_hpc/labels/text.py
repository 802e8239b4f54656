"""How a label is written: the text of a value, and several accepted answers in one."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from decimal import Decimal


def several_answers(answers: Sequence[str]) -> str:
    """One label for several accepted answers: a JSON list of strings, or the only one itself."""
    return answers[0] if len(answers) == 1 else json.dumps(list(answers))


def answer_text(value: object) -> str:
    """A JSON or table value as an answer is written: 5 for 5.0, no powers of ten; "" for none.

    Raises:
        ValueError: it is no answer: a truth value, or something structured.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("an answer is a text or a number")
    if isinstance(value, float) and math.isfinite(value):
        value = int(value) if value.is_integer() else format(Decimal(repr(value)), "f")
    return str(value).strip()


def accepted_answers(label: str) -> tuple[str, ...]:
    """The answers a label accepts; the inverse of `several_answers`."""
    if label.startswith('["'):
        try:
            answers = json.loads(label)
        except ValueError:
            return (label,)
        if answers and all(isinstance(answer, str) for answer in answers):
            return tuple(answers)
    return (label,)
