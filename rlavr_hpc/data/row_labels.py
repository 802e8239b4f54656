"""From what a row holds as its answer to its label: the text that a task reads.

The columns are tried in their order (`Columns.values`); the first that holds a label gives it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from rlavr_hpc.data.choices import NumberLabel, Options, letter_of
from rlavr_hpc.labels.text import accepted_answers, is_void, label_text, several_answers

SOLUTION_FORMAT = "solution_text_format"
"""Of knights and knaves: the part of a structured label that is graded."""
BEHIND_HASHES = re.compile(r"#{4}\s*([^\n#]*?)[ \t]*(?:\n|\Z)")
"""GSM8K's last line."""
ANSWER_BLOCK = re.compile(r"<answer>(.*?)</answer>", re.DOTALL | re.IGNORECASE)
ANSWER_LINE = re.compile(
    r"^\W*(?:the\s+)?(?:final\s+|correct\s+)?answer(?:\s+is)?\s*(?:[:\uff1a]|\bis\b)[\s*]*(\S.*?)[\s.*]*$",
    re.MULTILINE | re.IGNORECASE,
)
SENTENCE = re.compile(r"\b(?:answer|result)\s+is\s*:?\s*(\S.*?)[\s.*]*$", re.IGNORECASE)
NEIGHBOURS = re.compile(r"\}\s*\$?\s*(?:,|;|and|or)?\s*\$?\s*\\boxed")
"""Two boxes that are one answer."""
NUMBER = re.compile(r"-?\d{1,40}(?:\.\d{1,40})?(?:/\d{1,40})?")
THOUSANDS = re.compile(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
PROSE_CHARS = 40
"""A label of one line that is shorter is no worked solution but for its marks."""
OF_ONE_VALUE = ("math", "choice")
"""Tasks whose labels are a value: prose around it is a worked solution, structure is no answer."""
SHOWN_CHARS = 40


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
    number: NumberLabel | None = None
    """Set where the rows of the whole file decide which option is meant."""


def row_label(values: Iterable[object], *, task: str, options: Options | None) -> RowLabel:
    """The first label among a row's values.

    Args:
        values: in order of preference.
        task: how answers are read.
        options: of a row whose label is a letter.
    """
    found = [_one(value, task, options) for value in values]
    for label in found:
        if label.text or label.number is not None:
            return label
    return next((label for label in found if label.fault or label.void), RowLabel(void=""))


def solution_label(value: object, *, task: str, options: Options | None) -> RowLabel:
    """The label in a worked solution; none where nothing in it is marked as the answer."""
    if not isinstance(value, str) or not _answer_in(value):
        return RowLabel(void="")
    return row_label([value], task=task, options=options)


def _one(value: object, task: str, options: Options | None) -> RowLabel:
    if isinstance(value, dict) and value.get(SOLUTION_FORMAT):
        value = value[SOLUTION_FORMAT]
    if task in OF_ONE_VALUE and isinstance(value, dict) and len(value) == 1:
        value = next(iter(value.values()))  # whatever its key is
    try:
        text = label_text(value)
    except ValueError as error:
        if task in OF_ONE_VALUE:
            return RowLabel(fault=str(error))
        text = json.dumps(value, default=str, ensure_ascii=False)
    if is_void(text):
        return RowLabel(void=text[:SHOWN_CHARS])
    worked = _without_work(text) if task in OF_ONE_VALUE else text
    if is_void(worked):
        return RowLabel(void=worked[:SHOWN_CHARS])
    if options is not None:
        return _letter(worked, options, is_text=isinstance(value, str), worked=worked != text)
    return RowLabel(text=worked, worked=worked != text)


def _letter(label: str, options: Options, *, is_text: bool, worked: bool) -> RowLabel:
    answers = accepted_answers(label)
    letters = [letter_of(_unboxed(one), options, is_text=is_text) for one in answers]
    if len(letters) == 1 and isinstance(letters[0], NumberLabel):
        return RowLabel(number=letters[0], worked=worked)
    if all(isinstance(one, str) and one for one in letters):
        text = ", ".join(sorted(dict.fromkeys(map(str, letters))))
        return RowLabel(text=text, worked=worked)
    return RowLabel(fault=f"label {label[:SHOWN_CHARS]!r} is none of the row's options")


def _without_work(text: str) -> str:
    """The answer of a worked solution; the text itself where it is none."""
    answers = accepted_answers(text)
    found = [_answer_in(answer) or answer for answer in answers]
    return text if found == list(answers) else several_answers(found)


def _answer_in(text: str) -> str:
    r"""What a worked solution marks as its answer; "" where it marks nothing.

    Marks are, in this order: a line `#### X`, the last `\boxed{X}`, a block `<answer>X</answer>`,
    and in prose a line `Answer: X` or `The answer is X`.
    """
    if hashes := _behind_hashes(text):
        return hashes
    box = last_box(text)
    if box and box[0] != text.strip():
        return "" if NEIGHBOURS.search(text) else box[1]
    if blocks := ANSWER_BLOCK.findall(text):
        return str(blocks[-1]).strip()
    if len(text) <= PROSE_CHARS and "\n" not in text:
        short = ANSWER_LINE.fullmatch(text)
        return str(short[1]) if short else ""
    last = text.strip().rsplit("\n", 1)[-1]
    lines = ANSWER_LINE.findall(last) or SENTENCE.findall(last)
    return str(lines[-1]).strip() if lines else ""


def _behind_hashes(text: str) -> str:
    """GSM8K's answer; where more text follows, it may be a heading, so it needs a digit."""
    marks = list(BEHIND_HASHES.finditer(text))
    if not marks or not (answer := marks[-1][1].strip()):
        return ""
    is_last = not text[marks[-1].end() :].strip()
    return answer if is_last or any(c.isdigit() for c in answer) else ""


def last_box(text: str) -> tuple[str, str] | None:
    r"""The last `\boxed{...}` with balanced braces: whole, and what is in it; None without one."""
    start = text.rfind("\\boxed{")
    if start < 0:
        return None
    depth = 0
    for place in range(start + len("\\boxed"), len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            whole = text[start : place + 1]
            return whole, whole[len("\\boxed{") : -1].strip()
    return None


def _unboxed(text: str) -> str:
    box = last_box(text)
    return box[1] if box and box[0] == text.strip() else text.strip()


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
