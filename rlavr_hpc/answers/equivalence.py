"""When two math answers are equal; the only importer of math-verify.

Plain numbers are compared exactly here, because they are most answers and math-verify needs
milliseconds for each; everything else goes to math-verify and is remembered per distinct string.
"""

from __future__ import annotations

import logging
import re
from fractions import Fraction
from functools import lru_cache
from typing import Any

from math_verify import parse, verify
from math_verify.parser import ExprExtractionConfig, LatexExtractionConfig

PLAIN_NUMBER = re.compile(r"[+-]?[0-9]{1,30}(?:\.[0-9]{1,30})?")
REMEMBERED = 65_536
"""Distinct strings and pairs kept in memory, each."""
PARSE_SECONDS = 2
VERIFY_SECONDS = 2

logging.getLogger("math_verify").setLevel(logging.CRITICAL)
logging.getLogger("latex2sympy2_extended").setLevel(logging.CRITICAL)


def plain_number(text: str) -> Fraction | None:
    """The exact value of an integer or decimal; None for anything else."""
    return Fraction(text) if PLAIN_NUMBER.fullmatch(text) else None


def equal_answers(one: str, other: str) -> bool:
    r"""Whether two answers are mathematically equal: `1/2`, `0.5` and `\frac{1}{2}` are.

    Text that math-verify cannot read equals only the same text.
    """
    if one == other:
        return True
    number, another = plain_number(one), plain_number(other)
    if number is not None and another is not None:
        return number == another
    return _verified(*sorted((one, other)))


@lru_cache(maxsize=REMEMBERED)
def _verified(one: str, other: str) -> bool:
    parsed, also = _parsed(one), _parsed(other)
    if not parsed or not also:
        return False
    # math-verify is not symmetric (a set of one may equal its member one way only)
    return bool(
        verify(parsed, also, timeout_seconds=VERIFY_SECONDS)
        or verify(also, parsed, timeout_seconds=VERIFY_SECONDS)
    )


@lru_cache(maxsize=REMEMBERED)
def _parsed(text: str) -> list[Any]:
    result: list[Any] = parse(
        f"${text}$",
        extraction_config=[LatexExtractionConfig(), ExprExtractionConfig()],
        parsing_timeout=PARSE_SECONDS,
    )
    return result
