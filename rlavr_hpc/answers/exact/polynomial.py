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
MAX_EXPONENT = 64
MAX_BITS = 900
"""Of a coefficient's numerator or denominator; a float holds it."""
MAX_RADICAND = 1_000_000
CONSTANTS = frozenset({"pi", "e"})
"""Letters that stand for a number."""


class NotReadError(Exception):
    """The text is none of ours; somebody else reads it."""


def constant(number: Fraction) -> Value:
    """A number as a value."""
    return {UNIT: number} if number else {}


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
        if size > MAX_BITS or radicand > MAX_RADICAND**2:
            raise NotReadError
    return value
