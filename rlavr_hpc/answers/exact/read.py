r"""Answers read exactly, without a computer algebra system: most answers are numbers.

Reads numbers, fractions, mixed numbers, percent, square roots, powers, factorials, polynomials in
letters and \pi; tuples, lists, sets and matrices of these and of words; intervals and linear
inequalities; words, dates and times. What is read has one normal form, so that equal answers are
found by a dictionary look-up. Everything else, and every doubtful notation (`1/2x`, `f(x)`), is
left to math-verify: `read_exact` then returns None.

A value is a polynomial over the rationals: `{monomial: coefficient}`, a monomial being
(square-free radicand, power of i, letters with exponents). Distinct monomials are independent, so
equality of normal forms is equality of values (\pi and e count as letters).
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from rlavr_hpc.answers.exact.layout import (
    CHAIN,
    LIST,
    PARTS,
    PLUS_MINUS,
    REGION,
    SCALAR,
    SET,
    WORD,
    Layout,
    lay_out,
)
from rlavr_hpc.answers.exact.polynomial import (
    UNIT,
    Item,
    NotReadError,
    Value,
    as_item,
    constant,
    letters_of,
    multiply,
    word_value,
)
from rlavr_hpc.answers.exact.polynomial_text import read_value
from rlavr_hpc.answers.exact.ranges import read_chain, read_region
from rlavr_hpc.answers.exact.tidy import tidy, unwrap
from rlavr_hpc.answers.exact.words import COMMAND, STYLE, word_of

MAX_CHARS = 200
"""A longer answer is not read here, unless it is a plain number."""
NUMBER = re.compile(r"\s*\$?\s*(-?[0-9]+)(?:\.([0-9]+))?\s*\$?\s*")
BASE = "base "
UNORDERED = (SET, LIST, PLUS_MINUS)
CALCULATION = re.compile(
    r"[0-9})!|\]]\s*(?:[-+*\u00f7]|\\div(?![a-z]))\s*[-+]?\s*[0-9(\\|.\[{]"
    r"|(?:[0-9]|\)|\\right\))\s*\(\s*[-+]?[0-9]"
)
"""A sum, difference, product or quotient (other than a fraction) of numbers, `2(3)` too."""
MAX_CALCULATION_CHARS = 2000
DIVIDED = re.compile(r"[0-9})!]\s*(?:\u00f7|\\div(?![a-z]))\s*[0-9(\\]")
POWER_OF_TEN = re.compile(r"\*\s*10\s*\^")


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """An answer's normal form."""

    shape: str
    """As in `layout`; of a set of real numbers, all its intervals' brackets."""
    items: tuple[Item, ...] = ()
    """The values, in order; sorted where the order says nothing."""
    written: tuple[Item, ...] = ()
    """Of a list, its values as they were written, or in the order of their names."""
    labels: tuple[str, ...] = ()
    """Of labelled parts, their labels; of a list or a tuple, the names its values stand behind."""
    name: str = ""
    """What the answer is assigned to, `x` in `x = 5`."""
    word: str = ""
    """In lower case without spaces; empty for anything but a word."""
    percent: bool = False
    """True when it was written with a percent sign; `items` holds the value over 100."""
    decimal: bool = False
    """True when a decimal point was written: the value may have been rounded."""
    rational: bool = False
    """True for a single rational number, however it is written."""
    calculation: bool = False
    """True for a number written as a sum, a difference or a product of numbers, `41+6`."""
    text: str = ""
    """Of a single value, its text."""

    @property
    def key(self) -> Hashable:
        """The same for forms that are equal as they stand."""
        named = self.written if self.labels else ()
        return self.shape, self.name, self.word, self.labels, self.items, named


def read_exact(text: str) -> Form | None:
    """The normal form of an answer (the content of its box); None = not read here."""
    number = NUMBER.fullmatch(text)
    if number:
        return _plain_number(number[1], number[2] or "")
    if len(text) > MAX_CHARS:
        return None
    try:
        return _form(lay_out(text))
    except NotReadError:
        return None


def _plain_number(whole: str, places: str) -> Form:
    """A number in digits, of any length."""
    value = Fraction(Decimal(f"{whole}.{places}" if places else whole))
    return Form(shape=SCALAR, items=(as_item(constant(value)),), decimal=bool(places))


def _form(layout: Layout) -> Form:
    if layout.shape == WORD:
        return Form(shape=WORD, word=layout.word)
    if layout.shape == REGION:
        return _region(layout.parts[0])
    if layout.shape == PARTS:
        items = tuple(as_item(read_value(part.replace(",", ""))) for part in layout.parts)
        return Form(shape=PARTS, items=items, labels=layout.labels)
    return _values_form(layout)


def _region(text: str) -> Form:
    try:
        region = read_region(text)
    except NotReadError:
        signs, sides = read_chain(text)
        return Form(shape=CHAIN + signs, items=tuple(as_item(read_value(s)) for s in sides))
    return Form(shape=region.shape, items=region.items, name=region.name, decimal="." in text)


def _values_form(layout: Layout) -> Form:
    shape, parts = layout.shape, layout.parts
    values = [value for part in parts for value in _values(part, alone=len(parts) == 1)]
    if len(values) > len(parts) and shape not in (SCALAR, SET, LIST):
        raise NotReadError
    if shape == SCALAR and len(values) == 2:
        shape = PLUS_MINUS
    scale = Fraction(layout.factor, 100 if layout.percent else 1)
    if scale != 1:
        values = [multiply(value, constant(scale)) for value in values]
        if shape != SCALAR or letters_of(as_item(values[0])):
            raise NotReadError
    items = tuple(as_item(value) for value in values)
    if shape == LIST and len(set(items)) == 1:  # 3 and 3
        shape, items = SCALAR, items[:1]
    labels = layout.labels if len(layout.labels) == len(items) else ()
    return Form(
        shape=shape,
        items=tuple(sorted(set(items))) if shape in UNORDERED else items,
        written=items if shape == LIST else (),
        labels=() if shape == SCALAR else labels,
        name=layout.name,
        percent=layout.percent,
        decimal=any("." in part for part in parts),
        text=parts[0].strip() if shape == SCALAR else "",
        rational=shape == SCALAR and values[0].keys() <= {UNIT},
        calculation=shape == SCALAR and values[0].keys() <= {UNIT} and _has_calculation(parts[0]),
    )


def is_calculation(text: str) -> bool:
    """Whether a text, of whatever length, joins numbers by signs and has no variable in it."""
    text = text[:MAX_CALCULATION_CHARS]
    plain = tidy(unwrap(text)).replace("\\left", "").replace("\\right", "")
    letters = any(map(str.isalpha, COMMAND.sub("", STYLE.sub("", plain))))
    return not letters and (_has_calculation(plain) or bool(DIVIDED.search(text)))


def _has_calculation(text: str) -> bool:
    return bool(CALCULATION.search(POWER_OF_TEN.sub("^", text)))


def _values(text: str, *, alone: bool) -> list[Value]:
    r"""One value, or the two of `a \pm b`."""
    first, sign, second = text.partition("\\pm")
    if not sign:
        word = "" if alone else word_of(text.strip())
        return [word_value(word) if word else read_value(text)]
    if first.rstrip().endswith(("(", "{", "*", "/")):
        raise NotReadError
    return [read_value(f"{first}{sign}{second}") for sign in "+-"]
