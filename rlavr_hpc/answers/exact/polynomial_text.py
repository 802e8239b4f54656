r"""Reads a polynomial from LaTeX: a recursive descent over tokens, refusing what is doubtful."""

from __future__ import annotations

import re
from fractions import Fraction

from rlavr_hpc.answers.exact.polynomial import (
    NotReadError,
    Value,
    add,
    as_number,
    constant,
    divide,
    factorial,
    letter,
    multiply,
    negate,
    power,
    square_root,
)
from rlavr_hpc.answers.exact.words import is_product

TOKEN = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?|\.[0-9]+|\\[a-zA-Z]+|\S)")
GREEK = frozenset(
    "\\" + name
    for name in (
        "alpha",
        "beta",
        "gamma",
        "delta",
        "theta",
        "lambda",
        "mu",
        "rho",
        "sigma",
        "tau",
        "phi",
        "omega",
        "pi",
        "infty",
    )
)
"""Commands that are one letter; infinity is one too, as an end of an interval."""
STARTS_FACTOR = frozenset({"(", "{", "\\frac", "\\sqrt"}) | GREEK
CLOSING = {"(": ")", "{": "}"}
COMMAND = re.compile(r"\\[A-Za-z]+")
SCIENTIFIC = re.compile(r"\s*[+-]?[0-9]+(?:\.[0-9]+)?[eE][+-]?[0-9]{1,3}\s*")
LONG_RUN = re.compile(r"[A-Za-z]{3,}")
DOUBTFUL = re.compile(r"[0-9A-Za-z]\s+(?!i(?![A-Za-z]))[A-Za-z]|[0-9][eE][+-]?[0-9]")
"""A word, a unit, or a power of ten inside an expression."""
MAX_POWER = 64
"""Of a sum."""
MAX_DEPTH = 16
MAX_WORK = 5000
"""Products of terms that may be formed for one text: some milliseconds."""
END = ""


def read_value(text: str) -> Value:
    """The polynomial that `text` writes.

    Raises:
        NotReadError: it writes something else, or writes it doubtfully.
    """
    if not text.isascii():
        raise NotReadError
    if SCIENTIFIC.fullmatch(text):
        return constant(Fraction(text.strip()))
    reader = _Reader(text)
    value = reader.total()
    if reader.token != END:
        raise NotReadError
    return value


class _Reader:
    def __init__(self, text: str) -> None:
        self.tokens: list[str] = TOKEN.findall(text)
        self.index = self.depth = self.work = 0
        plain = COMMAND.sub(" ", text)
        if DOUBTFUL.search(plain) or not all(map(is_product, LONG_RUN.findall(plain))):
            raise NotReadError

    @property
    def token(self) -> str:
        return self.tokens[self.index] if self.index < len(self.tokens) else END

    def take(self) -> str:
        token = self.token
        self.index += 1
        return token

    def expect(self, token: str) -> None:
        if self.take() != token:
            raise NotReadError

    def total(self) -> Value:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise NotReadError
        sign = self.take() if self.token in ("+", "-") else "+"
        value = self.signed(sign)
        while self.token in ("+", "-"):
            value = add(value, self.signed(self.take()))
        self.depth -= 1
        return value

    def signed(self, sign: str) -> Value:
        value = self.term()
        return negate(value) if sign == "-" else value

    def term(self) -> Value:
        mixed = self.mixed_number()
        if mixed is not None:
            return mixed
        value, divided = self.factor(), False
        while True:
            if self.token == "*":
                self.take()
                value, divided = self.times(value, self.factor()), False
            elif self.token == "/":
                self.take()
                value, divided = self.over(value, self.factor()), True
            elif self.starts_factor():
                if divided:  # 1/2x may mean two things
                    raise NotReadError
                value = self.times(value, self.factor())
            else:
                return value

    def starts_factor(self) -> bool:
        return self.token in STARTS_FACTOR or self.is_letter()

    def is_letter(self) -> bool:
        return len(self.token) == 1 and self.token.isalpha()

    def mixed_number(self) -> Value | None:
        r"""`12\frac{3}{5}` is 12 and 3/5; with anything after it, it is doubtful."""
        whole = self.token
        follows = self.tokens[self.index + 1 : self.index + 2]
        if not whole.isdigit() or follows not in (["\\frac"],):
            return None
        self.take()
        self.take()
        top = as_number(self.argument(fraction=True))
        bottom = as_number(self.argument(fraction=True))
        if self.starts_factor() or self.token in ("^", "*", "/") or not 0 < top < bottom:
            raise NotReadError
        return constant(int(whole) + top / bottom)

    def factor(self) -> Value:
        value = self.base()
        if self.token == "!":
            self.take()
            value = factorial(value)
        if self.token == "^":
            self.take()
            exponent = as_number(self.argument())
            if exponent.denominator != 1:
                raise NotReadError
            value = self.raised(value, int(exponent))
        if self.token in ("^", "_", "!", "'"):
            raise NotReadError
        return value

    def base(self) -> Value:
        token = self.take()
        if token[:1].isdigit() or (token[:1] == "." and len(token) > 1):
            if self.token == "\\frac":  # a mixed number where a product goes on
                raise NotReadError
            return constant(Fraction(token))
        if len(token) == 1 and token.isalpha():
            if self.token == "(":  # f(x) or a product
                raise NotReadError
            return letter(token)
        return letter(token[1:]) if token in GREEK else self.compound(token)

    def compound(self, token: str) -> Value:
        if token in CLOSING:
            return self.closed(CLOSING[token])
        if token == "\\frac":
            return self.over(self.argument(fraction=True), self.argument(fraction=True))
        if token == "\\sqrt":
            return square_root(self.argument())
        raise NotReadError

    def times(self, one: Value, other: Value) -> Value:
        self.work += len(one) * len(other)
        if self.work > MAX_WORK:
            raise NotReadError
        return multiply(one, other)

    def over(self, one: Value, other: Value) -> Value:
        self.work += len(one)
        return divide(one, other)

    def raised(self, value: Value, exponent: int) -> Value:
        if exponent == 0 and not value:
            raise NotReadError
        if len(value) == 1 and all(term[:2] == (1, 0) for term in value):
            return power(value, exponent)
        if abs(exponent) > MAX_POWER:
            raise NotReadError
        total = constant(Fraction(1))
        for _ in range(abs(exponent)):
            total = self.times(total, value)
        return self.over(constant(Fraction(1)), total) if exponent < 0 else total

    def closed(self, bracket: str) -> Value:
        value = self.total()
        self.expect(bracket)
        return value

    def argument(self, *, fraction: bool = False) -> Value:
        r"""What stands after `\frac`, `\sqrt` or `^`: braces, or one digit or letter."""
        token = self.take()
        if token == "{":
            return self.closed("}")
        if fraction and len(token) == 2 and token.isdigit():  # \frac12
            self.index -= 1
            self.tokens[self.index] = token[1]
            return constant(Fraction(int(token[0])))
        if len(token) == 1 and token.isdigit():
            return constant(Fraction(int(token)))
        if len(token) == 1 and token.isalpha():
            return letter(token)
        if token == "\\pi":
            return letter("pi")
        raise NotReadError
