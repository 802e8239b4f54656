r"""How an answer is laid out: its shape, a name it is assigned to, brackets, and its parts.

Knows LaTeX's spelling and no arithmetic; the texts are short, see `read.MAX_CHARS`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rlavr_hpc.answers.exact.parts import labelled_parts, with_commas
from rlavr_hpc.answers.exact.polynomial import NotReadError
from rlavr_hpc.answers.exact.ranges import SIGN, looks_like_region, with_relations
from rlavr_hpc.answers.exact.tidy import tidy, unwrap, with_commands
from rlavr_hpc.answers.exact.units import without_unit
from rlavr_hpc.answers.exact.words import SAYS_TRUTH, WRAPPED, word_of

GROUPED = re.compile(
    r"([+-]?)([1-9][0-9]{0,2}(?:,[0-9]{3})+|[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}"
    r"|[1-9][0-9]{0,2}(?:'[0-9]{3})+)(\.[0-9]+)?"
)
AMBIGUOUS_COMMA = re.compile(r"[0-9],[0-9]{3}(?![0-9])")
BASED = re.compile(r"\(?([0-9A-F]+)\)?_\{?(?:\\text\{)?([0-9]{1,2})\}{0,2}")
NAME = (
    r"[A-Za-z](?:_\{?[0-9A-Za-z]\}?)?|[A-Za-z]\([a-z0-9]\)|[A-Za-z]{2,12}|\\[a-z]+(?: [A-Z]{1,3})?"
    r"|\|[A-Z]{2}\||[A-Z]\([A-Za-z]\)"
)
ASSIGNED = re.compile(rf"\s*({NAME})\s*=(?!=)(.+)", re.DOTALL)
MATRIX = re.compile(r"\\begin\{([pbvBV]?matrix)\}(.*)\\end\{\1\}", re.DOTALL)
MEMBER = re.compile(r"([a-zA-Z])\s*\\in(?![a-z])\s*(\\\{.*\\\}|[(\[\]].*[)\]\[])")
EMPTY = re.compile(
    r"\\(?:varnothing|emptyset|phi)(?![a-z])\s*|\\\{\s*\\\}|\\text\{(?:the )?empty set\}"
)
FRENCH = re.compile(r"([\](\[])(.*[,;].*)([\[)\]])")
ALL_REALS = re.compile(
    r"(?:\\text\{\s*)?(?:the set of )?(?:all |the )?(?:real numbers|reals)\s*\}?"
    r"|\\mathbb\{?\s*R\s*\}?",
    re.IGNORECASE,
)
SCALAR, SET, LIST, WORD, PLUS_MINUS = "", "{}", "list", "word", "+-"
REGION, CHAIN, PARTS = "region", "chain", "parts"
"""Shapes, besides the two brackets of a tuple or an interval, and "2x1" for a matrix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """An answer taken apart."""

    shape: str
    parts: tuple[str, ...] = ()
    """Texts of its values; of a region, the whole text."""
    labels: tuple[str, ...] = ()
    """Of labelled parts, and the names of `x = 1, y = 2`."""
    name: str = ""
    """What it is assigned to, `x` in `x = 5`."""
    word: str = ""
    percent: bool = False
    factor: int = 1
    """What a word multiplies it by: `million`."""


def lay_out(text: str) -> Layout:
    """Take an answer apart.

    Raises:
        NotReadError: it is laid out in a doubtful or unknown way.
    """
    text = tidy(unwrap(text))
    if ALL_REALS.fullmatch(text):
        return Layout(shape=REGION, parts=(r"\mathbb{R}",))
    related = with_relations(text)
    if EMPTY.fullmatch(text):
        return Layout(shape=SET)
    if looks_like_region(related):
        return Layout(shape=REGION, parts=(with_commands(related),))
    labelled = labelled_parts(text)
    if labelled:
        labels, values = zip(*labelled, strict=True)
        return Layout(shape=PARTS, parts=values, labels=labels)
    return _lay_out_values(text)


def _lay_out_values(text: str) -> Layout:
    wrapped = WRAPPED.fullmatch(text)
    if (
        wrapped
        and ("," in wrapped[1] or " and " in wrapped[1])
        and not SAYS_TRUTH.match(wrapped[1])
    ):
        text = wrapped[1]
    text = with_commas(text)
    word = word_of(text)
    if word:
        return Layout(shape=WORD, word=word)
    based = BASED.fullmatch(text)
    if based:
        return Layout(shape=f"base {based[2]}", parts=(str(int(based[1], 16)),))
    name, text = _split_name(text)
    text, factor = without_unit(text)
    percent = text.endswith("%")
    text = text.removesuffix("%").strip()
    if GROUPED.fullmatch(text):
        text = text.replace(",", "").replace("'", "")
    shape, parts = find_shape(with_commands(text))
    if shape != SCALAR and (percent or factor != 1 or AMBIGUOUS_COMMA.search(text)):
        raise NotReadError
    if shape == LIST and "=" in text:
        return _named(parts)
    return Layout(shape=shape, parts=tuple(parts), name=name, percent=percent, factor=factor)


def _split_name(text: str) -> tuple[str, str]:
    name, found = "", ASSIGNED.fullmatch(text)
    member = MEMBER.fullmatch(text)
    if member:
        return member[1], member[2]
    if text.count("=") > 1 and "," in text:  # several names
        return "", text
    if found:
        name, text = found[1].replace("{", "").replace("}", ""), found[2].strip()
    if "=" in text or SIGN.search(text):
        raise NotReadError
    return name, text


def _named(parts: list[str]) -> Layout:
    """`x=2, x=3` is `2, 3`; `x=1, y=2` is the tuple of its values in the order of their names."""
    found = [ASSIGNED.fullmatch(part) for part in parts]
    pairs = [(mark[1], mark[2].strip()) for mark in found if mark is not None]
    if len(pairs) != len(parts) or any("=" in value for _, value in pairs):
        raise NotReadError
    full = [name.replace("{", "").replace("}", "") for name, _ in pairs]
    names = [name[:1] if "_" in name else name for name in full]
    values = tuple(value for _, value in pairs)
    if len(set(names)) == 1 and len(set(full)) == len(full):  # x_1, x_2
        labels, values = zip(*sorted(zip(full, values, strict=True)), strict=True)
        return Layout(shape=LIST, parts=values, labels=labels)
    if len(set(names)) == 1:
        return Layout(shape=LIST, parts=values)
    if len(set(names)) != len(names):
        raise NotReadError
    labels, values = zip(*sorted(zip(names, values, strict=True)), strict=True)
    return Layout(shape="()", parts=values, labels=labels)


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
    if text.startswith("\\{") and text.endswith("\\}"):
        return SET, _split(text[2:-2].strip().removesuffix(","))
    french = FRENCH.fullmatch(text)
    if french and (french[1] == "]" or french[3] == "["):
        return _french(french)
    if text[0] in "([" and text[-1] in ")]":
        parts = _split(text[1:-1], tolerant=True)
        if len(parts) > 1:
            return text[0] + text[-1], parts
    parts = _split(text)
    return (SCALAR, parts) if len(parts) == 1 else (LIST, parts)


def _french(found: re.Match[str]) -> tuple[str, list[str]]:
    """`]1,2[` has the ends of `(1,2)`."""
    parts = _split(found[2])
    if len(parts) != 2:
        raise NotReadError
    return "(["[found[1] == "["] + ")]"[found[3] == "]"], parts


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
