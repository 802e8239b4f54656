r"""The boxes of a response: the last one, with its neighbours; those named in prose are none.

Scans characters; no regular expression runs over unbounded model text with nested repetition.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rlavr_hpc.labels.box_gaps import are_neighbours
from rlavr_hpc.labels.extract import MAX_ANSWER_CHARS, closing_brace

COMMAND = re.compile(r"\\(?:boxed|fbox|framebox)(?![A-Za-z])")
MAX_BOXES = 64
"""Boxes that are looked at, from the end."""
MAX_NEIGHBOURS = 12
BARE = re.compile(
    r"\$?([-+]?[0-9][^\s$]*|[-+]?\\(?!boxed|fbox|text\b)[A-Za-z{]+[^\s$]*|\([-0-9][^\s$]*\)?|[A-Za-z](?=\$|\s*$))"
)
"""What `\\boxed` without braces is followed by, where it is meant: a number or a command."""
PLACEHOLDER = re.compile(
    r"(?:the |your |my |final |numerical |correct |exact |actual |insert |put )*"
    r"(?:answers?|ans|result|solution|value|number|letter|option|choice|expression|content|text|final"
    r"|placeholder|number or expression)(?: here| goes here)?|\.{2,}|\u2026|\\[lcd]?dots|\\square"
    r"|\\Box|\?+|_+|\\cdot|\\quad|\\ |\\_+|\$?answer\$?|\$",
    re.IGNORECASE,
)
VALUE = re.compile(r"[0-9=+^(]|\\[fp]")
"""None of these is in a placeholder."""
STYLE = re.compile(r"\\(?:text|textbf|mathrm|textit|mathbf|emph)\s*\{([^{}]*)\}")
TYPE = re.compile(r"[\s$*{}<>\[\]`\"'.]+|[~_]|\\[,;:! ]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One box in a text."""

    start: int
    end: int
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Boxed:
    """The boxes that are one answer."""

    start: int
    end: int
    text: str | None
    """Between commas; None where the last box never closes or is too long: a cut-off response."""


def boxed_answer(text: str) -> Boxed | None:
    """What the last box holds, and the boxes beside it; None without a box that holds something."""
    if "box" not in text:
        return None
    last, found = _boxes(text)
    if last is not None:
        return last
    if not found:
        return None
    joined = [found[0]]
    for box in found[1:MAX_NEIGHBOURS]:
        if box.end > joined[-1].start or not are_neighbours(text[box.end : joined[-1].start]):
            break
        joined.append(box)
    contents = dict.fromkeys(box.content for box in reversed(joined))
    answer = ", ".join(contents)
    return Boxed(
        start=joined[-1].start,
        end=found[0].end,
        text=answer if len(answer) <= MAX_ANSWER_CHARS else None,
    )


def box_around(text: str) -> str | None:
    """What the box, or the boxes, hold that a text is; None where it is something else."""
    text = text.strip()
    found = boxed_answer(text)
    return found.text if found and text[found.start : found.end] == text else None


def _boxes(text: str) -> tuple[Boxed | None, list[Box]]:
    """Boxes that hold something, from the last; or the last one alone, when it never closes."""
    found: list[Box] = []
    marks = list(COMMAND.finditer(text))[-MAX_BOXES:]
    for mark in reversed(marks):
        rest = text[mark.end() : mark.end() + MAX_ANSWER_CHARS + 2]
        inner = rest.lstrip()
        offset = mark.end() + len(rest) - len(inner)
        if inner.startswith("["):  # a width, as \framebox takes it
            inner = inner[inner.find("]") + 1 :]
        if not inner.startswith("{"):
            word = BARE.match(inner)
            content, size = (word[1].rstrip("$.,"), word.end()) if word else ("", 0)
        else:
            closed = closing_brace(inner)
            if closed is None:
                if found:
                    break
                return Boxed(start=mark.start(), end=len(text), text=None), []
            content, size = inner[1:closed].strip(), closed + 1
        if content and not is_placeholder(content):
            found.append(Box(start=mark.start(), end=offset + size, content=content))
    return None, found


def is_placeholder(content: str) -> bool:
    """Whether a box only names what should stand in it: `answer`, `...`."""
    if len(content) > 60 or VALUE.search(content):
        return False
    plain = TYPE.sub(" ", STYLE.sub(r"\1", content)).strip()
    return not plain or bool(PLACEHOLDER.fullmatch(plain) or PLACEHOLDER.fullmatch(content.strip()))
