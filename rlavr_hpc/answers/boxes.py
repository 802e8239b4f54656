r"""The boxes of a response: the last one, with its neighbours; those named in prose are none.

Scans characters; no regular expression runs over unbounded model text with nested repetition.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rlavr_hpc.answers.extract import MAX_ANSWER_CHARS

COMMAND = re.compile(r"\\(?:boxed|fbox|framebox)(?![A-Za-z])")
MAX_BOXES = 64
"""Boxes that are looked at, from the end."""
MAX_NEIGHBOURS = 12
MAX_GAP_CHARS = 60
"""Between two boxes that are one answer."""
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
GAP_WORD = re.compile(r"\\?[A-Za-z]+")
GAP_SIGNS = re.compile(r"[\s$,;:=&~*(){}\[\]\\+_0-9.\u3001\uff0c\u548c\u6216\u53ca\u4e0e\u3068|-]*")
JOINS = frozenset(
    {"and", "or", "as", "well", "also", "und", "et", "y", "\\land", "\\lor", "finally"}
)
SPACES = frozenset(
    [
        "\\quad",
        "\\qquad",
        "\\text",
        "\\textrm",
        "\\mathrm",
        "\\",
        "\\cup",
        "\\in",
        "\\left",
        "\\right",
        "\\textbf",
    ]
)
FITS = frozenset(
    [
        "is",
        "are",
        "equals",
        "the",
        "other",
        "another",
        "second",
        "third",
        "fourth",
        "last",
        "one",
        "root",
        "roots",
        "solution",
        "solutions",
        "value",
        "values",
        "answer",
        "part",
        "either",
        "both",
        "at",
        "in",
        "angle",
        "side",
        "length",
        "width",
        "with",
    ]
)
ENDS = frozenset(
    [
        "no",
        "not",
        "wait",
        "but",
        "actually",
        "instead",
        "so",
        "then",
        "thus",
        "hence",
        "therefore",
        "since",
        "because",
        "which",
        "that",
        "gives",
        "implies",
        "check",
        "twice",
        "half",
        "sum",
        "total",
        "correct",
        "wrong",
        "sorry",
        "hmm",
        "final",
        "finally_",
        "answer_",
        "however",
        "if",
        "where",
        "step",
        "first",
        "recall",
        "when",
        "we",
        "i",
        "it",
        "this",
        "giving",
        "getting",
        "yields",
        "yield",
        "leading",
        "making",
        "becomes",
        "simplifies",
        "equivalently",
        "approximately",
        "about",
        "roughly",
        "simply",
        "namely",
        "ie",
    ]
)
SENTENCE_END = re.compile(r"[.!?]\s")


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
        if box.end > joined[-1].start or not _are_neighbours(text[box.end : joined[-1].start]):
            break
        joined.append(box)
    contents = dict.fromkeys(box.content for box in reversed(joined))
    answer = ", ".join(contents)
    return Boxed(
        start=joined[-1].start,
        end=found[0].end,
        text=answer if len(answer) <= MAX_ANSWER_CHARS else None,
    )


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


def closing_brace(text: str) -> int | None:
    """Where the brace that opens a text is closed; None where it never is."""
    depth = 0
    for index, character in enumerate(text):
        if character in "{}" and not _escaped(text, index):
            depth += 1 if character == "{" else -1
            if depth == 0:
                return index
    return None


def _escaped(text: str, index: int) -> bool:
    return index > 0 and text[index - 1] == "\\" and not (index > 1 and text[index - 2] == "\\")


def is_placeholder(content: str) -> bool:
    """Whether a box only names what should stand in it: `answer`, `...`."""
    if len(content) > 60 or VALUE.search(content):
        return False
    plain = TYPE.sub(" ", STYLE.sub(r"\1", content)).strip()
    return not plain or bool(PLACEHOLDER.fullmatch(plain) or PLACEHOLDER.fullmatch(content.strip()))


def _are_neighbours(gap: str) -> bool:
    """Whether boxes with this between them are one answer: `and`, `or`, a comma, `or $x=`, spaces."""
    if len(gap) > MAX_GAP_CHARS or SENTENCE_END.search(gap):
        return False
    words = [word.lower() for word in GAP_WORD.findall(gap)]
    if not GAP_SIGNS.fullmatch(GAP_WORD.sub("", gap)) or set(words) & ENDS:
        return False
    plain = [word for word in words if word not in SPACES and len(word) > 1]
    joins = [i for i, word in enumerate(plain) if word in JOINS]
    unknown = [word for word in plain if word not in JOINS | FITS]
    if not plain:
        return "=" not in gap or "," in gap or "x" in words or bool(words)
    if not joins and "," not in gap and ";" not in gap:
        return False
    before = plain[: joins[0]] if joins else []
    return len(unknown) <= 2 and len(before) <= 2
