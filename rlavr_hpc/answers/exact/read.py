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
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from rlavr_hpc.answers.exact.layout import (
    LIST,
    PLUS_MINUS,
    SCALAR,
    SET,
    UNION,
    WORD,
    Layout,
    find_shape,
    lay_out,
)
from rlavr_hpc.answers.exact.polynomial import (
    Item,
    NotReadError,
    Value,
    as_item,
    constant,
    letters_of,
    multiply,
)
from rlavr_hpc.answers.exact.polynomial_text import read_value

MAX_CHARS = 200
"""A longer answer is not read here."""
NEAR = 1e-4
"""With a decimal on one side, closer values than this (relative) are left to math-verify."""
BASE = "base "
UNORDERED = (SET, LIST, PLUS_MINUS)
INFINITE = (1, 0, (("infty", 1),))


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """An answer's normal form."""

    shape: str
    """As in `layout`; of a union, all its intervals' brackets."""
    items: tuple[Item, ...] = ()
    """The values, in order; sorted where the order says nothing."""
    name: str = ""
    """What the answer is assigned to, `x` in `x = 5`."""
    word: str = ""
    """In lower case; empty for anything but a word."""
    percent: bool = False
    """True when it was written with a percent sign; `items` holds the value over 100."""
    decimal: bool = False
    """True when a decimal point was written: the value may have been rounded."""

    @property
    def key(self) -> Hashable:
        """The same for forms that are equal as they stand."""
        return self.shape, self.name, self.word, self.items


def read_exact(text: str) -> Form | None:
    """The normal form of an answer (the content of its box); None = not read here."""
    if len(text) > MAX_CHARS:
        return None
    try:
        return _form(lay_out(text))
    except NotReadError:
        return None


def _form(layout: Layout) -> Form:
    shape, parts = layout.shape, layout.parts
    if shape == WORD:
        return Form(shape=WORD, word=layout.word)
    if shape == UNION:
        shape, parts = _union(parts)
    values = [value for part in parts for value in _values(part)]
    if len(values) > len(parts) and shape not in (SCALAR, SET, LIST):
        raise NotReadError
    if shape == SCALAR and len(values) == 2:
        shape = PLUS_MINUS
    scale = Fraction(layout.factor, 100 if layout.percent else 1)
    if scale != 1:
        values = [multiply(value, constant(scale)) for value in values]
        if shape != SCALAR or letters_of(as_item(values[0])):
            raise NotReadError
    items = [as_item(value) for value in values]
    if shape in UNORDERED:
        items = sorted(set(items), key=repr)
    return Form(
        shape=shape,
        items=tuple(items),
        name=layout.name,
        percent=layout.percent,
        decimal=any("." in part for part in parts),
    )


def _values(text: str) -> list[Value]:
    r"""One value, or the two of `a \pm b`."""
    first, sign, second = text.partition("\\pm")
    if not sign:
        return [read_value(text)]
    if first.rstrip().endswith(("(", "{", "*", "/")):
        raise NotReadError
    return [read_value(f"{first}{sign}{second}") for sign in "+-"]


def _union(texts: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The brackets and ends of intervals that are apart, in rising order.

    Other unions may be equal without looking so, and are not read.
    """
    brackets, ends = "", list[str]()
    last, closed = -math.inf, False
    for text in texts:
        shape, parts = find_shape(text.strip())
        if len(parts) != 2 or shape[:1] not in ("(", "["):
            raise NotReadError
        start, end = (_real(part) for part in parts)
        touches = start == last and (closed or shape[0] == "[")
        if start < last or touches or not start < end:
            raise NotReadError
        brackets, ends = brackets + shape, [*ends, *parts]
        last, closed = end, shape[1] == "]"
    return brackets, tuple(ends)


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


def equal_exactly(one: Form, other: Form) -> bool | None:
    """Whether two forms are equal; None = not decided here, ask math-verify."""
    if one.word and other.word:
        return one.word == other.word
    if one.name and other.name and one.name != other.name:
        return None
    if one.shape.startswith(BASE) and other.shape.startswith(BASE):
        return (one.shape, one.items) == (other.shape, other.items)
    if (one.shape, one.items) == (other.shape, other.items):
        return True
    if one.shape != other.shape or len(one.items) != len(other.items):
        return None
    rounded = one.decimal or other.decimal
    if rounded and one.shape in UNORDERED:
        return None  # sorted by values that may have been rounded
    pairs = zip(one.items, other.items, strict=True)
    return False if any(_surely_unequal(a, b, rounded=rounded) for a, b in pairs) else None


def equal_to_known(answer: Form, known: Form) -> bool | None:
    """The same against a known answer, where graders let `28%` equal 28 as well as 0.28."""
    outcome = equal_exactly(answer, known)
    if outcome is True or answer.percent == known.percent:
        return outcome
    percent, plain = (answer, known) if answer.percent else (known, answer)
    bare = without_percent(percent)
    return outcome if bare is None else equal_exactly(bare, plain)


def approximate(form: Form) -> complex | None:
    """The number a scalar is; None for anything else, and where a percent sign leaves a doubt."""
    if form.shape != SCALAR or form.percent or letters_of(form.items[0]):
        return None
    return _approximate(form.items[0])


def without_percent(form: Form) -> Form | None:
    """The same answer with its percent sign left out: 28 for `28%`.

    None for less than a percent: who writes `0.15%` does not mean 0.15.
    """
    if not form.percent or abs(_approximate(form.items[0])) < 0.01:
        return None
    items = tuple(as_item(multiply(dict(item), constant(Fraction(100)))) for item in form.items)
    return Form(shape=form.shape, items=items, name=form.name, decimal=form.decimal)


def _surely_unequal(one: Item, other: Item, *, rounded: bool) -> bool:
    if one == other or letters_of(one) != letters_of(other):
        return False
    if not rounded:
        return True
    if letters_of(one):
        return False
    first, second = _approximate(one), _approximate(other)
    return abs(first - second) > NEAR * max(abs(first), abs(second))


def _approximate(item: Item) -> complex:
    total = 0j
    for (radicand, imaginary, letters), coefficient in item:
        size = float(coefficient) * math.sqrt(radicand)
        for letter, power in letters:
            size *= {"pi": math.pi, "e": math.e}[letter] ** power
        total += size * (1j**imaginary)
    return total
