r"""Answers read exactly, without a computer algebra system: most answers are numbers.

Reads numbers, fractions, mixed numbers, percent, square roots, powers, polynomials in letters and
\pi, and tuples, intervals, sets and matrices of these. What is read has one normal form, so that
equal answers are found by a dictionary look-up. Everything else, and every doubtful notation
(`1/2x`, `f(x)`, `5 cm`), is left to math-verify: `read_exact` then returns None.

A value is a polynomial over the rationals: `{monomial: coefficient}`, a monomial being
(square-free radicand, power of i, letters with exponents). Distinct monomials are independent, so
equality of normal forms is equality of values (\pi and e count as letters).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from rlavr_hpc.answers.polynomial import (
    Item,
    NotReadError,
    Value,
    as_item,
    constant,
    letters_of,
    multiply,
)
from rlavr_hpc.answers.polynomial_text import read_value

MAX_CHARS = 200
"""A longer answer is not read here."""
NEAR = 1e-4
"""With a decimal on one side, closer values than this (relative) are left to math-verify."""

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
INFINITE = (1, 0, (("infty", 1),))
SCALAR, SET, LIST, WORD, PLUS_MINUS = "", "{}", "list", "word", "+-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """An answer's normal form."""

    shape: str
    """INFINITE = (1, 0, (("infty", 1),))
SCALAR, SET, LIST, WORD, PLUS_MINUS; the brackets of a tuple, an interval or a union of
    intervals; or a matrix's "2x1"."""
    items: tuple[Item, ...] = ()
    """The values, in order; sorted in a set."""
    name: str = ""
    """What the answer is assigned to, `x` in `x = 5`; of a word, the word."""
    percent: bool = False
    """True when it was written with a percent sign; `items` holds the value over 100."""
    decimal: bool = False
    """True when a decimal point was written: the value may have been rounded."""


def read_exact(text: str) -> Form | None:
    """The normal form of an answer (the content of its box); None = not read here."""
    if len(text) > MAX_CHARS or not text.isascii():
        return None
    try:
        return _read(_tidy(text))
    except NotReadError:
        return None


def equal_exactly(one: Form, other: Form) -> bool | None:
    """Whether two forms are equal; None = not decided here, ask math-verify."""
    if one.shape == other.shape == WORD:
        return one.name == other.name
    if WORD in (one.shape, other.shape) or (one.name and other.name and one.name != other.name):
        return None
    if (one.shape, one.items) == (other.shape, other.items):
        return True
    if one.shape != other.shape or len(one.items) != len(other.items):
        return None
    rounded = one.decimal or other.decimal
    if rounded and one.shape == SET:
        return None  # sorted by values that may have been rounded
    pairs = zip(one.items, other.items, strict=True)
    return False if any(_surely_unequal(a, b, rounded=rounded) for a, b in pairs) else None


def equal_to_known(answer: Form, known: Form) -> bool | None:
    """The same against a known answer, where graders let `28%` equal 28 as well as 0.28."""
    tries = [equal_exactly(a, k) for a in _readings(answer) for k in _readings(known)]
    return True if True in tries else None if None in tries else False


def approximate(form: Form) -> complex | None:
    """The number a scalar is; None for anything else, and where a percent sign leaves a doubt."""
    if form.shape != SCALAR or form.percent or letters_of(form.items[0]):
        return None
    return _approximate(form.items[0])


def without_percent(form: Form) -> Form:
    """The same answer with its percent sign left out: 28 for `28%`."""
    items = tuple(as_item(multiply(dict(item), constant(Fraction(100)))) for item in form.items)
    return Form(shape=form.shape, items=items, name=form.name, decimal=form.decimal)


def _readings(form: Form) -> list[Form]:
    return [form, without_percent(form)] if form.percent else [form]


def _surely_unequal(one: Item, other: Item, *, rounded: bool) -> bool:
    if one == other or letters_of(one) != letters_of(other):
        return False
    if not rounded:
        return True
    if letters_of(one):
        return False
    first, second = _approximate(one), _approximate(other)
    return abs(first - second) > NEAR * max(1.0, abs(first), abs(second))


def _approximate(item: Item) -> complex:
    total = 0j
    for (radicand, imaginary, letters), coefficient in item:
        size = float(coefficient) * math.sqrt(radicand)
        for letter, power in letters:
            size *= {"pi": math.pi, "e": math.e}[letter] ** power
        total += size * (1j**imaginary)
    return total


def _tidy(text: str) -> str:
    text = text.strip().strip("$").strip().removesuffix(".")
    text = re.sub(r",\\!\s*|\{,\}", ",", text)
    text = re.sub(r"([0-9])\\[,;: ]\s*(?=[0-9]{3}(?![0-9]))", r"\1", text)
    text = DROPPED.sub("", text)
    text = re.sub(r"\\[dtc]frac(?![a-z])", r"\\frac", text)
    text = re.sub(r"\\(?:cdot|times)(?![a-z])", "*", text)
    return text.replace("\\%", "%").strip()


def _read(text: str) -> Form:
    _, rest = _without_name(text)
    word = WRAPPED_WORD.fullmatch(rest)
    if word:
        return Form(shape=WORD, name=" ".join(word[1].lower().split()))
    name, text = _without_name(_without_unit(text))
    if text.endswith("%"):
        return _percent(text[:-1].strip(), name)
    grouped = GROUPED.fullmatch(text)
    if grouped:
        text = text.replace(",", "")
    shape, parts = _shape(text)
    if shape and AMBIGUOUS_COMMA.search(text):
        raise NotReadError
    items = [as_item(value) for part in parts for value in _values(part)]
    if shape == SCALAR and len(items) == 2:
        shape = PLUS_MINUS
    if shape in (SET, LIST, PLUS_MINUS):
        items = sorted(set(items), key=repr)
    return Form(shape=shape, items=tuple(items), name=name, decimal="." in text)


def _values(text: str) -> list[Value]:
    r"""One value, or the two of `a \pm b`."""
    first, sign, second = text.partition("\\pm")
    if not sign:
        return [read_value(text)]
    if first.rstrip().endswith(("(", "{", "*", "/")):
        raise NotReadError
    return [read_value(f"{first}{sign}{second}") for sign in "+-"]


def _percent(text: str, name: str) -> Form:
    shape, _ = _shape(text)
    if shape or letters_of(as_item(read_value(text))):
        raise NotReadError
    value: Value = multiply(read_value(text), constant(Fraction(1, 100)))
    return Form(shape=SCALAR, items=(as_item(value),), name=name, percent=True, decimal="." in text)


def _without_name(text: str) -> tuple[str, str]:
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


def _shape(text: str) -> tuple[str, list[str]]:
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
        return _union(text.split("\\cup"))
    if text.startswith("\\{") and text.endswith("\\}"):
        return SET, _split(text[2:-2])
    if text[0] in "([" and text[-1] in ")]":
        parts = _split(text[1:-1], tolerant=True)
        if len(parts) > 1:
            return text[0] + text[-1], parts
    parts = _split(text)
    return (SCALAR, parts) if len(parts) == 1 else (LIST, parts)


def _union(texts: Sequence[str]) -> tuple[str, list[str]]:
    """Intervals that are apart, in rising order; others may be equal without looking so."""
    shapes, ends = "", list[str]()
    last, closed = -math.inf, False
    for text in map(str.strip, texts):
        shape, parts = _shape(text)
        if len(parts) != 2 or shape[0] not in "([":
            raise NotReadError
        start, end = (_real(part) for part in parts)
        touches = start == last and (closed or shape[0] == "[")
        if start < last or touches or not start < end:
            raise NotReadError
        shapes, ends = shapes + shape, ends + parts
        last, closed = end, shape[1] == "]"
    return shapes, ends


def _real(text: str) -> float:
    item = as_item(read_value(text))
    if len(item) == 1 and item[0][0] == INFINITE:
        return math.copysign(math.inf, item[0][1])
    if letters_of(item):
        raise NotReadError
    number = _approximate(item)
    if number.imag:
        raise NotReadError
    return number.real


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
