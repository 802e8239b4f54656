"""Values as floating-point numbers, to order them and to see that they are far apart."""

from __future__ import annotations

import math
from fractions import Fraction

from rlavr_hpc.answers.exact.polynomial import UNIT, Item, Monomial, NotReadError, letters_of

INFINITE: Monomial = (1, 0, (("infty", 1),))
INFINITY: Item = ((INFINITE, Fraction(1)),)
MINUS_INFINITY: Item = ((INFINITE, Fraction(-1)),)
NUMBERS = {"pi": math.pi, "e": math.e}


def approximate_item(item: Item) -> complex | None:
    """About the number that a value without letters is; None where floating point ends."""
    total = 0j
    try:
        for (radicand, imaginary, letters), coefficient in item:
            size = float(coefficient) * math.sqrt(radicand)
            for letter, power in letters:
                size *= NUMBERS[letter] ** power
            total += size * (1j**imaginary)
    except OverflowError:
        return None
    return None if item and not total else total


def real_number(item: Item) -> float:
    """The real number that a value is, infinite ones included.

    Raises:
        NotReadError: it holds letters, is not real, or too large or small.
    """
    if len(item) == 1 and item[0][0] == INFINITE:
        return math.copysign(math.inf, item[0][1])
    if letters_of(item):
        raise NotReadError
    number = approximate_item(item)
    if number is None or number.imag:
        raise NotReadError
    return number.real


def far_apart(one: Item, other: Item, *, share: float) -> bool:
    """Whether two values without letters differ by more than a share of the larger one."""
    first, second = approximate_item(one), approximate_item(other)
    if first is not None and second is not None:
        return abs(first - second) > share * max(abs(first), abs(second))
    exact = [item[0][1] if item else Fraction(0) for item in (one, other) if _is_rational(item)]
    if len(exact) < 2:
        return False
    return abs(exact[0] - exact[1]) > Fraction(share) * max(map(abs, exact))


def _is_rational(item: Item) -> bool:
    return not item or (len(item) == 1 and item[0][0] == UNIT)
