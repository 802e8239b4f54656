"""From what a row holds as its answer to its label: the text that a task reads.

The columns are tried in their order (`Columns.values`); the first that holds a label gives it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

from rlavr_hpc.data.choices import NumberLabel, Options, letter_of
from rlavr_hpc.data.row_tasks import is_value
from rlavr_hpc.labels import places
from rlavr_hpc.labels.boxes import box_around
from rlavr_hpc.labels.text import (
    ANSWER_KEYS,
    MAX_LABEL_CHARS,
    accepted_answers,
    is_void,
    label_text,
    several_answers,
)

SOLUTION_FORMAT = "solution_text_format"
"""Of knights and knaves: the part of a structured label that is graded."""
NUMBER = re.compile(r"-?\d{1,40}(?:\.\d{1,40})?(?:/\d{1,40})?")
THOUSANDS = re.compile(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
PROSE_CHARS = 40
"""A label of one line that is shorter is no worked solution but for its marks."""
OF_ONE_VALUE = ("math", "choice")
"""Tasks whose labels are a value: prose around it is a worked solution, structure is no answer."""
SHOWN_CHARS = 40
NO_TEXT = frozenset({"", "null", "<na>", "n/a", "[]", "{}"})
"""What stands for no answer where the answer may be any text."""
NO_OPTION = "its label is none of the row's options"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowLabel:
    """What a row's answer comes to."""

    text: str = ""
    """The label; "" = none."""
    void: str | None = None
    """What stands there instead of an answer: a word, or "" for nothing; None = an answer."""
    fault: str = ""
    """Why what stands there cannot be read; "" = it can."""
    worked: bool = False
    """Whether it was taken out of a worked solution."""
    alone: bool = False
    """Whether it is the one value of an object, whatever its key is."""
    numbers: tuple[NumberLabel, ...] = ()
    """Set where the rows of the whole file decide which options are meant."""


def row_label(values: Iterable[object], *, task: str, options: Options | None) -> RowLabel:
    """The first label among a row's values.

    Args:
        values: in order of preference.
        task: how answers are read.
        options: of a row whose label is a letter.
    """
    found = [_one(value, task, options) for value in values]
    for label in found:
        if label.text or label.numbers:
            return label
    return next((label for label in found if label.fault or label.void), RowLabel(void=""))


def solution_label(value: object, *, task: str, options: Options | None) -> RowLabel:
    """The label in a worked solution; none where nothing in it is marked as the answer."""
    if not isinstance(value, str) or not _marks_answer(value, task):
        return RowLabel(void="")
    return row_label([value], task=task, options=options)


def _marks_answer(text: str, task: str) -> bool:
    return box_around(text) is not None or bool(_answer_in(text, task=task))


def _one(value: object, task: str, options: Options | None) -> RowLabel:
    inner = _inner_value(value, task)
    try:
        text = label_text(inner)
    except ValueError as error:
        if task in OF_ONE_VALUE:
            return RowLabel(fault=str(error))
        text = json.dumps(inner, default=str, ensure_ascii=False)
    label = _of_text(text, task, options, is_text=isinstance(inner, str))
    known = {SOLUTION_FORMAT, *ANSWER_KEYS}
    alone = isinstance(value, dict) and inner is not value and not known & set(value)
    return replace(label, alone=alone)


def _inner_value(value: object, task: str) -> object:
    """What an object holds that is known to hold an answer, or nothing but a value."""
    if not isinstance(value, dict):
        return value
    if value.get(SOLUTION_FORMAT):
        return value[SOLUTION_FORMAT]
    if task not in OF_ONE_VALUE or len(value) != 1:
        return value
    [(key, inner)] = value.items()
    known = key in ANSWER_KEYS or task == "choice"
    return inner if known or _is_plain_value(inner) else value


def _is_plain_value(value: object) -> bool:
    if isinstance(value, str):
        return is_value(value) and any(c.isdigit() or c == "\\" for c in value)
    return isinstance(value, int | float | Decimal)


def _of_text(text: str, task: str, options: Options | None, *, is_text: bool) -> RowLabel:
    if options is not None and (named := _letters_named(text, options, is_text=is_text)):
        return named
    if _is_none(text, task):
        return RowLabel(void=text[:SHOWN_CHARS])
    worked = _without_work(text, task) if task in OF_ONE_VALUE else text
    if _is_none(worked, task):
        return RowLabel(void=worked[:SHOWN_CHARS])
    if options is not None:
        found = _letters_named(worked, options, is_text=is_text) or RowLabel(fault=NO_OPTION)
        return replace(found, worked=worked != text)
    return RowLabel(text=worked, worked=worked != text)


def _is_none(text: str, task: str) -> bool:
    """Whether a label is none: a word for it, of which a text may be the answer itself."""
    return is_void(text) if task in OF_ONE_VALUE else text.lower() in NO_TEXT


def _letters_named(label: str, options: Options, *, is_text: bool) -> RowLabel | None:
    """The options that a label names; None = it names none, or something else besides."""
    answers = accepted_answers(label)
    letters = [letter_of(_unboxed(one), options, is_text=is_text) for one in answers if one]
    numbers = tuple(one for one in letters if isinstance(one, NumberLabel))
    if letters and len(numbers) == len(letters):
        return RowLabel(numbers=numbers)
    if letters and all(isinstance(one, str) and one for one in letters):
        return RowLabel(text=", ".join(sorted(dict.fromkeys(map(str, letters)))))
    return None


def _without_work(text: str, task: str) -> str:
    """The answer of a worked solution; the text itself where it is none."""
    answers = accepted_answers(text)
    found = [_answer_in(answer, task=task) or answer for answer in answers]
    return text if found == list(answers) else several_answers(found)


def _answer_in(text: str, *, task: str) -> str:
    r"""What a worked solution marks as its answer; "" where it marks nothing.

    It is read as a response is: the last of the marks `\boxed{X}`, `#### X`, `<answer>X</answer>`
    and `Answer: X` counts, and without any, `the answer is X` in the last line. To mathematics,
    prose behind a colon or "is" is no answer: such a text is left whole.
    """
    if len(text) > MAX_LABEL_CHARS or box_around(text) is not None:
        return ""
    marked = places.find_marked(text)
    if marked is None:
        last = text.strip().rsplit("\n", 1)[-1]
        short = len(text) <= PROSE_CHARS and "\n" not in text
        answer = "" if short else places.stated(last) or ""
    elif (answer := marked.text or "") and not _is_line(text, marked):
        return answer
    return answer if task != "math" or is_value(answer) else ""


def _is_line(text: str, marked: places.Stated) -> bool:
    """Whether the mark is an `Answer:` line rather than one that stands in no prose."""
    line = places.line(text)
    return line is not None and line.at == marked.at


def _unboxed(text: str) -> str:
    inner = box_around(text)
    return text.strip() if inner is None else inner


def label_keys(label: str) -> frozenset[object]:
    """What two labels share if they are the same: each accepted answer without its dress."""
    return frozenset(_key(answer) for answer in accepted_answers(label))


def _key(answer: str) -> object:
    text = "".join(_unboxed(answer.strip().strip("$")).split())
    text = text.strip("$").rstrip(".").casefold()
    plain = re.sub(r"\\[dt]?frac\{(-?\d+)\}\{(\d+)\}", r"\1/\2", text)
    plain = plain.replace(",", "") if THOUSANDS.fullmatch(plain) else plain
    if not NUMBER.fullmatch(plain):
        return text
    top, _, below = plain.partition("/")
    return Fraction(top) / Fraction(below) if below.strip("0") else Fraction(top)
