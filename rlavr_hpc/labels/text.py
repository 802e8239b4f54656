"""How a label is written: the text of a value, several accepted answers in one, and no answer.

A label is a text. Here it is made from a value of a table or of JSON, and taken apart again; what a
task reads in it is the task's.
"""

from __future__ import annotations

import ast
import json
import math
import re
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal

VOID = frozenset(
    {
        "",
        "-",
        "--",
        "?",
        "n/a",
        "na",
        "nan",
        "null",
        "nil",
        "none",
        "<na>",
        "<null>",
        "<none>",
        "[]",
        "{}",
        "notfound",
        "not found",
        "not available",
        "no answer",
        "missing",
        "proof",
        "see solution",
        "tbd",
        "todo",
    }
)
"""What data sets write where there is no answer, in lower case with spaces for `-` and `_`."""
ANSWER_KEYS = ("answer", "final_answer", "ground_truth", "solution_text_format", "target", "label")
"""Under which a structured label holds its answer, the first that is there."""
MAX_LABEL_CHARS = 100_000
"""Longer text is not searched for structure."""
NUMPY = re.compile(r"array\((\[[^()]*\])(?:,\s*dtype=[\w<>'\".]+)?\)")
SCALAR = re.compile(
    r"(?:np|numpy)\.(?:int|uint|float|str|bool|bytes)[0-9]*_?"
    r"\((b?'[^'\\]*'|b?\"[^\"\\]*\"|[-+.0-9A-Za-z]+)\)"
)
"""One value as numpy prints it."""
BYTES = re.compile(r"b'([^'\\]*)'|b\"([^\"\\]*)\"")
PRINTED = re.compile(r"\[\s*'[^']*'(?:[\s,]*'[^']*')*\s*\]")
"""A list of texts as Python or numpy prints it."""


def is_void(label: str) -> bool:
    r"""Whether a label is none: empty, or a word that stands for a missing answer.

    `proof`, `notfound`, `null`, `none`, `n/a` and so on, in any case, also in quotes or a box, and
    lists of nothing but these. Not `\text{none}` or `no solution`: these are answers.
    """
    if len(label) > MAX_LABEL_CHARS:
        return False
    return all(_is_void_word(answer) for answer in accepted_answers(label))


def _is_void_word(answer: str) -> bool:
    word = answer.strip().strip("\"'`").removeprefix("\\boxed{").removesuffix("}").lower()
    word = " ".join(word.rstrip(".").split())
    return word in VOID or re.sub(r"[-_]", " ", word) in VOID


def several_answers(answers: Sequence[str]) -> str:
    """One label for several accepted answers: a JSON list of strings, or the only one itself."""
    return answers[0] if len(answers) == 1 else json.dumps(list(answers))


def label_text(value: object) -> str:
    """The label that a value of a table or of JSON is, several accepted answers included.

    A list or an array accepts each of its values; an object means what stands under `answer` (or
    another of `ANSWER_KEYS`). "" for none.

    Raises:
        ValueError: it is no answer: an object without an answer, or a list of lists.
    """
    if isinstance(value, Mapping):
        key = next((key for key in ANSWER_KEYS if value.get(key) is not None), None)
        if key is None:
            raise ValueError(f"an object without {', '.join(map(repr, ANSWER_KEYS))}")
        return label_text(value[key])
    value = _plain(value)
    if isinstance(value, list | tuple):
        answers = [text for one in value if (text := answer_text(one))]
        return several_answers(answers) if answers else ""
    return answer_text(value)


def answer_text(value: object) -> str:
    """A JSON or table value as an answer is written: 5 for 5.0, no powers of ten; "" for none.

    Truth values are True and False. Integers may have any length.

    Raises:
        ValueError: it is no answer but something structured.
    """
    value = _plain(value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if not isinstance(value, str | int | float | Decimal):
        raise ValueError("an answer is a text, a number or a truth value")
    if isinstance(value, float) and math.isfinite(value):
        value = int(value) if value.is_integer() else format(Decimal(repr(value)), "f")
    if isinstance(value, int) and not isinstance(value, bool):
        return _digits(value)
    return format(value, "f") if isinstance(value, Decimal) else str(value).strip()


def _plain(value: object) -> object:
    """Python's own value for one of numpy."""
    return value.tolist() if hasattr(value, "tolist") else value


def json_integer(digits: str) -> int | str:
    """An integer of JSON (`parse_int` of `json.loads`): its digits where Python refuses so many."""
    return int(digits) if len(digits) < sys.int_info.default_max_str_digits else digits


def _digits(number: int) -> str:
    """An integer of any length in digits, whatever Python's limit on them is."""
    if number.bit_length() < 3 * sys.int_info.default_max_str_digits:
        return str(number)
    return format(Decimal(number), "f")


class _Number(str):
    """A number in the digits of its JSON, of any length."""

    __slots__ = ()


def accepted_answers(label: str) -> tuple[str, ...]:
    """The answers a label accepts; undoes `several_answers`.

    A label may be JSON: a list with texts, or an object with an `answer`; also as Python or numpy
    prints them, or one value. `[1, 2]` is none, but an interval.
    """
    text = label.strip()
    if len(text) > MAX_LABEL_CHARS or text[:1] not in ("[", "{", "a", '"', "n", "b"):
        return (label,)
    if (one := _printed_value(text)) is not None:
        return (one,)
    text = SCALAR.sub(r"\1", text) if "np." in text or "numpy." in text else text
    numpy = NUMPY.fullmatch(text)
    text = numpy[1] if numpy else text
    if PRINTED.fullmatch(text):
        return tuple(found.strip() for found in re.findall(r"'([^']*)'", text))
    try:
        value = json.loads(text, parse_int=_Number, parse_float=_Number)
    except (ValueError, RecursionError):
        value = _printed_object(text)
        if value is None:
            return (label,)
    if isinstance(value, list) and all(isinstance(one, _Number) for one in value):
        return (label,)  # an interval, a point, a vector
    return _texts_in(value) or (label,)


def _printed_value(text: str) -> str | None:
    """What Python or numpy prints as `np.int64(52)`, `np.str_('40')` or `b'9'`; else None."""
    number = SCALAR.fullmatch(text)
    inner = number[1] if number else text
    quoted = BYTES.fullmatch(inner)
    if quoted:
        return (quoted[1] or quoted[2] or "").strip()
    return inner.strip("'\"").strip() if number else None


def _printed_object(text: str) -> dict[object, object] | None:
    """The object that Python prints as `{'answer': '64'}`; None for anything else."""
    if text[:1] != "{" or "'" not in text:
        return None
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return None
    return value if isinstance(value, dict) else None


def _texts_in(value: object) -> tuple[str, ...]:
    """The answers in parsed JSON; empty for what is structured in another way."""
    if isinstance(value, dict):
        key = next((key for key in ANSWER_KEYS if key in value), None)
        return () if key is None else _texts_in(value[key])
    if isinstance(value, list):
        parts = [() if isinstance(one, dict | list) else _texts_in(one) for one in value]
        return tuple(text for part in parts for text in part) if all(parts) else ()
    if value is not None and not isinstance(value, str | int | float):
        return ()
    return ("" if value is None else str(value).strip(),)
