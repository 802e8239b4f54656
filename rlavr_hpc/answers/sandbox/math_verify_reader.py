"""Reads and compares answers with math-verify; runs in a grader's process only.

The only importer of math-verify, and never imported by a process that must not hang: see
`grader_worker` for the limits under which this runs.
"""

from __future__ import annotations

import cmath
import hashlib
import logging
import re
import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import math_verify.parser
from latex2sympy2_extended.antlr_parser import PSParser
from math_verify import parse, verify
from math_verify.parser import ExprExtractionConfig, LatexExtractionConfig, parse_latex_cached
from sympy import Basic, Expr, Float, I, Integer, Rational, Symbol, nan, srepr, zoo
from sympy.parsing import sympy_parser

from rlavr_hpc.answers.exact.compare import NEAR
from rlavr_hpc.answers.exact.parts import with_commas
from rlavr_hpc.answers.exact.tidy import unwrap, with_commands
from rlavr_hpc.answers.sandbox.protocol import ANY, LATEX

CONFIGS = {
    LATEX: [LatexExtractionConfig(boxed_match_priority=-1)],
    ANY: [LatexExtractionConfig(boxed_match_priority=0), ExprExtractionConfig()],
}
REMEMBERED = 512
"""Parsed answers kept in a grader, which is replaced when it grows."""
MAX_SHOWN = 1000
SMALL = 1e-2
"""Below this math-verify's rounding to six places is too coarse."""
ROUNDED = 2e-6
"""Relative difference up to which smaller numbers are equal."""
SAME_DIGITS = 1e-15
"""Relative difference below which all digits of two numbers agree."""
NOISE = 1e-9
"""Of floating point, where letters stand for numbers."""

logging.getLogger("math_verify").setLevel(logging.CRITICAL)
logging.getLogger("latex2sympy2_extended").setLevel(logging.CRITICAL)


def _arithmetic(text: str) -> Any:  # noqa: ANN401
    """A plain expression such as `1/2*3`, read as LaTeX.

    Stands in for math-verify's own reader of expressions, which hands the text to sympy's
    `parse_expr`, that is, to `eval`.
    """
    text = re.sub(r"([0-9])\.(?![0-9])", r"\1", text)  # the full stop of a sentence
    text = text.replace("**", "^").replace("*", "\\cdot ").replace("\u00f7", "\\div ")
    return parse_latex_cached(text.replace("\u00d7", "\\times "))


def _plain(text: str, *_args: object, **_options: object) -> Integer | Float | Symbol:
    """A number in digits or a name; stands in for sympy's `parse_expr`, which evaluates text."""
    if re.fullmatch(r"-?[0-9]{1,4000}", text):
        return Integer(int(text))
    if re.fullmatch(r"-?[0-9]{0,1000}\.[0-9]{0,1000}|-?[0-9.]{1,1000}[eE][+-]?[0-9]{1,4}", text):
        return Float(text)
    if re.fullmatch(r"[A-Za-z_]\w{0,50}", text):  # sympy's own names of units
        return Symbol(text)
    raise ValueError("neither a number nor a name")


math_verify.parser.parse_expr_cached = _arithmetic
sympy_parser.parse_expr = _plain  # sympy.Number("7") comes here
if not hasattr(PSParser.AtomContext, "FUNC_GAMMA"):
    # the parser generated for antlr 4.9.3, which Hydra needs, lacks this rule, and asking for it
    # breaks every atom that is asked about later, percent among them
    PSParser.AtomContext.FUNC_GAMMA = lambda _atom: None


@dataclass(frozen=True, slots=True, kw_only=True)
class MathVerifyAnswer:
    """What a text says."""

    form: str
    """Equal for texts that mean the same; different forms may still be equal."""
    computable: bool
    """False when it is no mathematics: then only the same form is equal."""
    value: tuple[float, float] | None
    """Real and imaginary part; of an expression with letters, at fixed numbers for these."""
    shown: str
    """The answer as found."""


def read(mode: str, text: str) -> MathVerifyAnswer | None:
    """The answer in a text; None when there is none."""
    parsed = _parsed(mode, text)
    if not parsed:
        return None
    shown = (parsed[-1] if isinstance(parsed[-1], str) else str(parsed[-1]))[:MAX_SHOWN]
    if isinstance(parsed[0], str) or _is_undefined(parsed[0]):
        form = _digest("text " + shown.strip().lower())
        return MathVerifyAnswer(form=form, computable=False, value=None, shown=shown)
    form = _digest(srepr(parsed[0]))
    return MathVerifyAnswer(form=form, computable=True, value=_value(parsed[0]), shown=shown)


def _is_undefined(expression: Any) -> bool:  # noqa: ANN401
    """Whether it divides by zero, as the time `10:00` does for a reader of ratios."""
    return isinstance(expression, Basic) and bool(expression.has(zoo, nan))


def _value(expression: Any) -> tuple[float, float] | None:  # noqa: ANN401
    """The number an expression is, its letters replaced by fixed numbers.

    Equal expressions have equal values, so this tells most unequal ones apart. Words have none:
    math-verify compares them as text, or as products of letters.
    """
    if not isinstance(expression, Expr) or all(a.is_Symbol for a in _factors(expression)):
        return None
    try:
        return _number(expression)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - a bonus; sympy fails here in many ways
        return None


def _number(expression: Any) -> tuple[float, float] | None:  # noqa: ANN401
    point = {symbol: _number_for(symbol.name) for symbol in expression.free_symbols}
    value = expression.subs(point).doit().evalf()
    number = complex(value)
    inexact = bool(point) or expression.has(Float)
    if not cmath.isfinite(number) or (inexact and abs(number) < NOISE) or not _is_sure(value):
        return None
    return number.real, number.imag


def _is_sure(value: Any) -> bool:  # noqa: ANN401
    """Whether a number in floating point has digits: one that should be zero has none."""
    return bool(value) and all(part._prec > 1 for part in value.atoms(Float))


def _factors(expression: Any) -> tuple[Any, ...]:  # noqa: ANN401
    return expression.args if expression.is_Mul else (expression,)


def _number_for(name: str) -> Expr:
    """A positive number for a letter, the same in every process; i for i."""
    if name == "i":
        return I
    digest = hashlib.blake2b(name.encode(errors="surrogatepass"), digest_size=4).digest()
    return Float(1 + int.from_bytes(digest) / 2**32)


def _digest(content: str) -> str:
    return hashlib.blake2b(content.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def same(mode: str, one: str, other: str) -> bool:
    """Whether two answers are equal, in both directions: math-verify's test is one-sided."""
    return matches(mode, one, other) and matches(mode, other, one)


def matches(mode: str, known: str, answer: str) -> bool:
    """Whether an answer is right, given the known one."""
    boxed = mode == LATEX  # where an interval may stand for its inequality
    first, second = _parsed(mode, known), _parsed(mode, answer)
    if boxed and "%" not in known + answer and first and second:
        equal = _equal_numbers(first[0], second[0])
        if equal is not None:
            return equal
    return bool(verify(first, second, timeout_seconds=None, allow_set_relation_comp=boxed))


def _equal_numbers(one: Any, other: Any) -> bool | None:  # noqa: ANN401
    """Whether two numbers are equal, by their relative difference; None = ask math-verify.

    math-verify rounds to six places, so that 1/3^99 and 1/3^98 are both zero.
    """
    if not (isinstance(one, Expr) and isinstance(other, Expr)):
        return None
    if one.free_symbols or other.free_symbols:
        return None
    if one.is_Rational and other.is_Rational:
        return bool(one == other)
    first, second = (number.doit().evalf(20, maxn=2000) for number in (one, other))
    if not (first.is_number and second.is_number and _is_sure(first) and _is_sure(second)):
        return None
    size = max(abs(first), abs(second))
    share = abs(first - second) / size
    if not share.is_Float and not share.is_Rational:
        return None
    if size < SMALL or share > NEAR or share < SAME_DIGITS:
        return bool(share <= ROUNDED)
    return None


@lru_cache(maxsize=REMEMBERED)
def _parsed(mode: str, text: str) -> list[Any]:
    if mode == ANY:
        return _parse(ANY, text)
    formula = with_commands(with_commas(unwrap(text)).replace("\n", " ")).replace("$", " ")
    found = re.fullmatch(r"(.*[^\\\s])\s*\\?%", formula)
    parsed = _parse(LATEX, f"${found[1] if found else formula}$")
    if found and parsed and not isinstance(parsed[0], str):
        return [parsed[0] * Rational(1, 100), formula]
    return parsed


def _parse(mode: str, text: str) -> list[Any]:
    parsed: list[Any] = parse(text, extraction_config=CONFIGS[mode], parsing_timeout=None)
    return parsed


WARM_UP = (
    ("\\frac{x}{x+1}", "1-\\frac{1}{x+1}"),
    ("\\sin^2 x", "1-\\cos^2 x"),
    ("(1,2)", "\\{1,2\\}"),
    ("x\\le 5", "(-\\infty,5]"),
    ("2x+3y=1", "4x+6y=2"),
    ("\\log_2 8", "\\binom{3}{1}"),
    ("\\begin{pmatrix}1\\\\2\\end{pmatrix}", "\\begin{bmatrix}1\\\\2\\end{bmatrix}"),
)


def warm_up() -> None:
    """Load what is loaded on first use, so that no answer pays for it."""
    sys.set_int_max_str_digits(0)  # large numbers are stopped by the CPU limit
    for one, other in WARM_UP:
        same(LATEX, one, other)
    read(ANY, "The answer is $\\frac{1}{2}$, or 1/2.")
    _parsed.cache_clear()
