"""Exact arithmetic on polynomials over the rationals with square roots and i, within bounds."""

from __future__ import annotations

import math
from fractions import Fraction

Monomial = tuple[int, int, tuple[tuple[str, int], ...]]
"""(square-free radicand, power of i: 0 or 1, letters with exponents in alphabetical order)."""
Value = dict[Monomial, Fraction]
"""Polynomial without zero coefficients; {} is zero."""
Item = tuple[tuple[Monomial, Fraction], ...]
"""A `Value` in a fixed order, hashable."""

UNIT: Monomial = (1, 0, ())
MAX_TERMS = 64
MAX_EXPONENT = 999
"""Of a letter."""
MAX_BITS = 900
"""Of the numerator or denominator of a coefficient in a sum; a float holds it."""
MAX_BITS_ALONE = 20_000
"""The same where there is only one term."""
MAX_RADICAND = 1_000_000
MAX_FACTORIAL = 2000
QUOTE = '"'
"""Before a word that is a value: a letter of its own."""
CONSTANTS = frozenset({"pi", "e"})
"""Letters that stand for a number."""


class NotReadError(Exception):
    """The text is none of ours; somebody else reads it."""


def constant(number: Fraction) -> Value:
    """A number as a value."""
    return {UNIT: number} if number else {}


def power(value: Value, exponent: int) -> Value:
    """A single term raised to a whole power, at once.

    Raises:
        NotReadError: there are several terms, or the result passes the bounds.
    """
    ((radicand, imaginary, letters), coefficient), *others = value.items()
    size = max(coefficient.numerator.bit_length(), coefficient.denominator.bit_length())
    if others or radicand != 1 or imaginary or abs(exponent) * (size - 1) > MAX_BITS_ALONE:
        raise NotReadError
    if any(abs(degree * exponent) > MAX_EXPONENT for _, degree in letters):
        raise NotReadError
    raised = tuple((name, degree * exponent) for name, degree in letters if exponent)
    return _bounded({(1, 0, raised): coefficient**exponent})


def factorial(value: Value) -> Value:
    """The factorial of a whole number."""
    number = as_number(value)
    if number.denominator != 1 or not 0 <= number <= MAX_FACTORIAL:
        raise NotReadError
    return constant(Fraction(math.factorial(int(number))))


def letter(name: str) -> Value:
    """A variable, or the imaginary unit."""
    return {(1, 1, ()) if name == "i" else (1, 0, ((name, 1),)): Fraction(1)}


def as_item(value: Value) -> Item:
    """The value in a fixed order."""
    return tuple(sorted(value.items()))


def letters_of(item: Item) -> frozenset[str]:
    """The variables of a value; constants are none."""
    names = {name for (_, _, letters), _ in item for name, _ in letters}
    return frozenset(names - CONSTANTS)


def word_value(word: str) -> Value:
    """A word as a part of an answer."""
    return letter(QUOTE + word)


def is_word(item: Item) -> bool:
    """Whether a value is a word."""
    return any(name.startswith(QUOTE) for (_, _, letters), _ in item for name, _ in letters)


def as_number(value: Value) -> Fraction:
    """The rational number a value is.

    Raises:
        NotReadError: it is none.
    """
    if not value:
        return Fraction(0)
    if set(value) != {UNIT}:
        raise NotReadError
    return value[UNIT]


def add(one: Value, other: Value) -> Value:
    """Sum."""
    total = dict(one)
    for monomial, coefficient in other.items():
        total[monomial] = total.get(monomial, Fraction(0)) + coefficient
    return _bounded(total)


def multiply(one: Value, other: Value) -> Value:
    """Product."""
    total: Value = {}
    for first, a in one.items():
        for second, b in other.items():
            monomial, factor = _times(first, second)
            total[monomial] = total.get(monomial, Fraction(0)) + a * b * factor
    return _bounded(total)


def negate(value: Value) -> Value:
    """Minus the value."""
    return {monomial: -coefficient for monomial, coefficient in value.items()}


def divide(one: Value, other: Value) -> Value:
    """Quotient by a single term.

    Raises:
        NotReadError: the divisor is zero or has several terms.
    """
    if len(other) != 1:
        raise NotReadError
    ((radicand, imaginary, letters), coefficient) = next(iter(other.items()))
    # 1 / (c sqrt(n) i^k x^m) = sqrt(n) (-i)^k x^-m / (c n)
    sign = -1 if imaginary else 1
    inverse = Fraction(sign) / (coefficient * radicand)
    monomial = (radicand, imaginary, tuple((name, -power) for name, power in letters))
    return multiply(one, {monomial: inverse})


def square_root(value: Value) -> Value:
    """Square root of a rational number that is not negative."""
    number = as_number(value)
    if number < 0:
        raise NotReadError
    # sqrt(p/q) = sqrt(p q) / q
    outside, radicand = _square_part(number.numerator * number.denominator)
    if not number:
        return {}
    return {(radicand, 0, ()): Fraction(outside, number.denominator)}


def _square_part(number: int) -> tuple[int, int]:
    """`(a, b)` with number = a^2 b and b square-free."""
    root = math.isqrt(number)
    if root * root == number:
        return root, 1
    if number > MAX_RADICAND:
        raise NotReadError
    outside, divisor = 1, 2
    while divisor * divisor <= number:
        while number % (divisor * divisor) == 0:
            number //= divisor * divisor
            outside *= divisor
        divisor += 1
    return outside, number


def _times(one: Monomial, other: Monomial) -> tuple[Monomial, int]:
    """Product of two monomials: sqrt(a) sqrt(b) = g sqrt(ab / g^2) with g = gcd(a, b); i^2 = -1."""
    common = math.gcd(one[0], other[0])
    imaginary = one[1] + other[1]
    letters = dict(one[2])
    for name, exponent in other[2]:
        letters[name] = letters.get(name, 0) + exponent
    if any(abs(exponent) > MAX_EXPONENT for exponent in letters.values()):
        raise NotReadError
    kept = tuple(sorted((name, exponent) for name, exponent in letters.items() if exponent))
    radicand = one[0] // common * (other[0] // common)
    return (radicand, imaginary % 2, kept), -common if imaginary == 2 else common


def _bounded(value: Value) -> Value:
    value = {monomial: coefficient for monomial, coefficient in value.items() if coefficient}
    if len(value) > MAX_TERMS:
        raise NotReadError
    for (radicand, _, _), coefficient in value.items():
        size = max(coefficient.numerator.bit_length(), coefficient.denominator.bit_length())
        if size > (MAX_BITS if len(value) > 1 else MAX_BITS_ALONE) or radicand > MAX_RADICAND**2:
            raise NotReadError
    return value
