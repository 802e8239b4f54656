r"""How an answer is laid out: tidied text, a name it is assigned to, brackets, and its parts.

Knows LaTeX's spelling and no arithmetic; the texts are short, see `exact.MAX_CHARS`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rlavr_hpc.answers.polynomial import NotReadError

GROUPED = re.compile(r"([+-]?)([0-9]{1,3}(?:,[0-9]{3})+)(\.[0-9]+)?")
AMBIGUOUS_COMMA = re.compile(r"[0-9],[0-9]{3}(?![0-9])")
ASSIGNED = re.compile(r"\s*([A-Za-z](?:_\{?[0-9A-Za-z]\}?)?|[A-Za-z]\([a-z]\))\s*=(.+)", re.DOTALL)
UNIT = re.compile(r"\\(?:text|mathrm|textbf|textrm|mbox)\{([A-Za-z./ ]*)\}(?:\^\{?[0-9]\}?)?\s*$")
WRAPPED_WORD = re.compile(
    r"\\(?:text|mathrm|textbf|textit|textrm|mbox)\{\s*\(?([A-Za-z][A-Za-z' -]*)\)?\s*\}"
)
MATRIX = re.compile(r"\\begin\{([pb]?matrix)\}(.*)\\end\{\1\}", re.DOTALL)
DROPPED = re.compile(
    r"\\left(?![a-z])|\\right(?![a-z])|(?<!\\)\\[!,;: ]|\\q?quad(?![a-z])|\\displaystyle|~|\\\$"
    r"|\^\\circ(?![a-z])|\^\{\s*\\circ\s*\}|\\degree(?![a-z])"
)
NOT_A_UNIT = frozenset({"and", "or", "if", "to", "i", "e", "none", "no", "pi"})
SCALAR, SET, LIST, WORD, PLUS_MINUS, UNION = "", "{}", "list", "word", "+-", "union"
"""Shapes, besides the two brackets of a tuple or an interval, and "2x1" for a matrix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """An answer taken apart."""

    shape: str
    parts: tuple[str, ...] = ()
    """Texts of its values; of a union, of its intervals."""
    name: str = ""
    """What it is assigned to, `x` in `x = 5`."""
    word: str = ""
    percent: bool = False


def lay_out(text: str) -> Layout:
    """Take an answer apart.

    Raises:
        NotReadError: it is laid out in a doubtful or unknown way.
    """
    text = _tidy(text)
    word = WRAPPED_WORD.fullmatch(_split_name(text)[1])
    if word:
        return Layout(shape=WORD, word=" ".join(word[1].lower().split()))
    name, text = _split_name(_without_unit(text))
    percent = text.endswith("%")
    text = text.rstrip("%").strip()
    if GROUPED.fullmatch(text):
        text = text.replace(",", "")
    shape, parts = find_shape(text)
    if shape != SCALAR and (percent or AMBIGUOUS_COMMA.search(text)):
        raise NotReadError
    return Layout(shape=shape, parts=tuple(parts), name=name, percent=percent)


def _tidy(text: str) -> str:
    text = text.strip().strip("$").strip().removesuffix(".")
    text = re.sub(r",\\!\s*|\{,\}", ",", text)
    text = re.sub(r"([0-9])\\[,;: ]\s*(?=[0-9]{3}(?![0-9]))", r"\1", text)
    text = DROPPED.sub("", text)
    text = re.sub(r"\\[dtc]frac(?![a-z])", r"\\frac", text)
    text = re.sub(r"\\(?:cdot|times)(?![a-z])", "*", text)
    return text.replace("\\%", "%").strip()


def _split_name(text: str) -> tuple[str, str]:
    name, found = "", ASSIGNED.fullmatch(text)
    if found:
        name, text = found[1].replace("{", "").replace("}", ""), found[2].strip()
    if "=" in text:
        raise NotReadError
    return name, text


def _without_unit(text: str) -> str:
    found = UNIT.search(text)
    if not found or found.start() == 0:
        return text
    words = frozenset(found[1].lower().replace(".", " ").split())
    if words & NOT_A_UNIT:
        raise NotReadError
    return text[: found.start()].strip()


def find_shape(text: str) -> tuple[str, list[str]]:
    """The shape of an answer and the texts of its values."""
    if not text:
        raise NotReadError
    matrix = MATRIX.fullmatch(text)
    if matrix:
        rows = [row.split("&") for row in matrix[2].strip().removesuffix("\\\\").split("\\\\")]
        if len({len(row) for row in rows}) != 1:
            raise NotReadError
        return f"{len(rows)}x{len(rows[0])}", [cell for row in rows for cell in row]
    if "\\cup" in text:
        return UNION, text.split("\\cup")
    if text.startswith("\\{") and text.endswith("\\}"):
        return SET, _split(text[2:-2])
    if text[0] in "([" and text[-1] in ")]":
        parts = _split(text[1:-1], tolerant=True)
        if len(parts) > 1:
            return text[0] + text[-1], parts
    parts = _split(text)
    return (SCALAR, parts) if len(parts) == 1 else (LIST, parts)


def _split(text: str, *, tolerant: bool = False) -> list[str]:
    """Parts between commas outside of all brackets; braces of commands count as brackets."""
    parts, depth, start = [], 0, 0
    for index, character in enumerate(text):
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
            if depth < 0:
                if tolerant:  # `(1)(2)`: the outer brackets are no pair
                    return [text]
                raise NotReadError
        elif character == "," and depth == 0:
            parts.append(text[start:index])
            start = index + 1
    return [*parts, text[start:]]
