"""When two normal forms are equal, and when that is for computer algebra to say."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from operator import itemgetter

from rlavr_hpc.answers.exact.approximate import (
    INFINITY,
    MINUS_INFINITY,
    approximate_item,
    far_apart,
)
from rlavr_hpc.answers.exact.layout import CHAIN, LIST, PARTS, SCALAR
from rlavr_hpc.answers.exact.polynomial import (
    Item,
    as_item,
    constant,
    is_word,
    letters_of,
    multiply,
)
from rlavr_hpc.answers.exact.read import BASE, UNORDERED, Form
from rlavr_hpc.answers.exact.words import FALSE, TRUE

NEAR = 1e-4
"""With a decimal on one side, closer values than this (relative) are left to math-verify."""
DAY = re.compile(r"(?:0[1-9]|1[0-2])/(?:1[3-9]|2[0-9]|3[01])")
"""A fraction that may be a day, `12/25`: no other fraction with a slash is taken for it."""
SLASH = re.compile(r"[0-9]{1,3}/[0-9]{1,3}")
TRUTH_LETTERS = {"t": TRUE, "f": FALSE}
NUMBER_WORDS = frozenset(
    [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
    ]
)


def equal_exactly(one: Form, other: Form) -> bool | None:
    """Whether two forms are equal; None = not decided here, ask math-verify."""
    if one.word or other.word:
        return _equal_words(one, other)
    if one.name and other.name and one.name != other.name:
        return None
    if one.shape == other.shape == SCALAR:
        return _equal_values(one, other)
    if PARTS in (one.shape, other.shape):
        return _equal_parts(one, other)
    if one.shape.startswith(BASE) and other.shape.startswith(BASE):
        return (one.shape, one.items) == (other.shape, other.items)
    return _equal_shapes(one, other)


def _equal_shapes(one: Form, other: Form) -> bool | None:
    """Of tuples, lists, sets, matrices, intervals and chains."""
    named = _equal_names(one, other) if one.labels or other.labels else None
    if named is not None:
        return named
    if (one.shape, one.items) == (other.shape, other.items):
        return True
    if one.shape != other.shape or len(one.items) != len(other.items):
        return None
    rounded = one.decimal or other.decimal
    if rounded and one.shape in UNORDERED:
        return None  # sorted by values that may have been rounded
    pairs = list(zip(one.items, other.items, strict=True))
    if one.shape.startswith(CHAIN):
        return False if all(_is_letter(item) for pair in pairs for item in pair) else None
    return False if any(_surely_unequal(a, b, rounded=rounded) for a, b in pairs) else None


def _equal_names(one: Form, other: Form) -> bool | None:
    """Of `x_1 = 2, x_2 = 3` with the same names, and of `x = 1, y = 2` with a mere list."""
    if one.shape == other.shape == LIST and one.labels == other.labels:
        pairs = list(zip(one.written, other.written, strict=True))
        if all(a == b for a, b in pairs):
            return True
        rounded = one.decimal or other.decimal
        return False if any(_surely_unequal(a, b, rounded=rounded) for a, b in pairs) else None
    named, values = (one, other) if one.shape == "()" else (other, one)
    if named.shape != "()" or not named.labels or values.shape != LIST or values.labels:
        return None
    if values.written == named.items:
        return True
    return None if one.decimal or other.decimal else False


def _equal_values(one: Form, other: Form) -> bool | None:
    first, second = one.items[0], other.items[0]
    if first == second:
        return True
    unequal = _surely_unequal(first, second, rounded=one.decimal or other.decimal)
    return False if unequal else None


def equal_to_known(answer: Form, known: Form) -> bool | None:
    """The same against a known answer, where graders let `28%` equal 28 as well as 0.28."""
    if "/" in known.text and DAY.fullmatch(known.text) and SLASH.fullmatch(answer.text):
        return answer.text == known.text
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
    return approximate_item(form.items[0])


def without_percent(form: Form) -> Form | None:
    """The same answer with its percent sign left out: 28 for `28%`.

    None for less than a percent: who writes `0.15%` does not mean 0.15.
    """
    size = approximate_item(form.items[0]) if form.percent else None
    if size is None or abs(size) < 0.01:
        return None
    items = tuple(as_item(multiply(dict(item), constant(Fraction(100)))) for item in form.items)
    return replace(form, items=items, percent=False)


def _equal_words(one: Form, other: Form) -> bool | None:
    """Words are equal as texts; a word and a value are not, unless the word may be a product."""
    if one.word and other.word:
        return one.word == other.word
    word, value = (one.word, other) if one.word else (other.word, one)
    if value.items == (MINUS_INFINITY, INFINITY) and len(word) > 1:
        return False  # "all real numbers" and "all real numbers but 0"
    if len(word) == 1 or word in NUMBER_WORDS or value.shape not in (SCALAR, LIST):
        return None
    said = value.text.lower()
    if word == TRUTH_LETTERS.get(said, said):
        return True
    letters = re.findall(r"[A-Za-z]", word)
    if len(letters) == len(word):
        powers = [p for item in value.items for (_, _, names), _ in item for p in names]
        product = sorted(name.lower() for name, count in powers if count == 1)
        return None if product == sorted(letters) else False
    return False


def _equal_parts(one: Form, other: Form) -> bool | None:
    """Parts with the same labels are equal label by label, others in the order they stand in."""
    if sorted(one.labels) == sorted(other.labels):
        return _by_label(one) == _by_label(other)
    first_items, second_items = (
        form.written if form.shape == LIST else form.items for form in (one, other)
    )
    return first_items == second_items and {one.shape, other.shape} <= {PARTS, LIST, "()"}


def _by_label(form: Form) -> list[tuple[str, Item]]:
    """The parts in the order of their labels; those with one label as they were written."""
    return sorted(zip(form.labels, form.items, strict=True), key=itemgetter(0))


def _surely_unequal(one: Item, other: Item, *, rounded: bool) -> bool:
    if one == other:
        return False
    names, others = letters_of(one), letters_of(other)
    if names != others:
        return is_word(one) or is_word(other)
    if not rounded:
        return True
    return not names and far_apart(one, other, share=NEAR)


def _is_letter(item: Item) -> bool:
    return len(item) == 1 and len(letters_of(item)) == 1 and item[0][1] == 1
