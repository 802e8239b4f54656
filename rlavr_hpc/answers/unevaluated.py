"""Mathematics in which a calculation is equal only to itself: `41+6` does not equal 47."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

from rlavr_hpc.answers.equivalence import MATH, ParsedAnswer
from rlavr_hpc.answers.exact.read import is_calculation
from rlavr_hpc.answers.sandbox.timeouts import RawAnswer

MAX_DENOMINATOR, NEAR_FRACTION = 1000, 1e-9
"""Of the fraction that a calculation's value is taken for, and how near it is (relative)."""


def _read_unevaluated(raw: RawAnswer) -> ParsedAnswer | None:
    """Read a text without a grader, where that can be done; a calculation is literal then."""
    parsed = MATH.read_here(raw)
    if parsed is None or parsed.exact is None:
        return parsed
    written = parsed.exact.rational and is_calculation(raw[1])
    return _literal(parsed) if written or parsed.exact.calculation else parsed


def _parsed_unevaluated(raw: RawAnswer, reply: object) -> ParsedAnswer | None:
    r"""What a grader has read: `3! + 41` and `6\cos 0 + 41` are calculations, too."""
    parsed = MATH.parsed(raw, reply)
    if parsed is None or parsed.value is None or not is_calculation(parsed.shown):
        return parsed
    return _literal(parsed) if _is_near_fraction(parsed.value) else parsed


def _is_near_fraction(value: complex) -> bool:
    r"""Whether a value could be written as a number; `1 + \sqrt[3]{2}` could not."""
    if value.imag or not math.isfinite(value.real):
        return False
    near = Fraction(value.real).limit_denominator(MAX_DENOMINATOR)
    return abs(value.real - near) <= NEAR_FRACTION * max(1.0, abs(value.real))


def _literal(parsed: ParsedAnswer) -> ParsedAnswer:
    key = ("calculation", "".join(parsed.shown.split()))
    return ParsedAnswer(raw=parsed.raw, key=key, shown=parsed.shown, literal=True)


UNEVALUATED_MATH = replace(MATH, read_here=_read_unevaluated, parsed=_parsed_unevaluated)
