r"""Reads a polynomial from LaTeX: a recursive descent over tokens, refusing what is doubtful."""

from __future__ import annotations

import re
from fractions import Fraction

from rlavr_hpc.answers.polynomial import (
    NotReadError,
    Value,
    add,
    as_number,
    constant,
    divide,
    letter,
    multiply,
    negate,
    power,
    square_root,
)

TOKEN = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?|\.[0-9]+|\\[a-zA-Z]+|\S)")
GREEK = frozenset(
    "\\" + name
    for name in (
        "alpha", "beta", "gamma", "delta", "theta", "lambda", "mu", "rho", "sigma", "tau", "phi",
        "omega", "pi", "infty",
    )
)  # fmt: skip
"""Commands that are one letter; infinity is one too, as an end of an interval."""
STARTS_FACTOR = frozenset({"(", "{", "\\frac", "\\sqrt"}) | GREEK
CLOSING = {"(": ")", "{": "}"}
MAX_DEPTH = 16
END = ""


def read_value(text: str) -> Value:
    """The polynomial that `text` writes.

    Raises:
        NotReadError: it writes something else, or writes it doubtfully.
    """
    reader = _Reader(text)
    value = reader.total()
    if reader.token != END:
        raise NotReadError
    return value


class _Reader:
    def __init__(self, text: str) -> None:
        self.tokens: list[str] = TOKEN.findall(text)
        self.spaced = re.search(r"[0-9A-Za-z]\s+[A-Za-z]", text) is not None
        self.index = 0
        self.depth = 0
        if self.spaced or re.search(r"[A-Za-z]{3}", re.sub(r"\\[A-Za-z]+", " ", text)):
            raise NotReadError  # a unit or a word

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
                value, divided = multiply(value, self.factor()), False
            elif self.token == "/":
                self.take()
                value, divided = divide(value, self.factor()), True
            elif self.starts_factor():
                if divided:  # 1/2x may mean two things
                    raise NotReadError
                value = multiply(value, self.factor())
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
        if self.token == "^":
            self.take()
            exponent = as_number(self.argument())
            if exponent.denominator != 1:
                raise NotReadError
            value = power(value, int(exponent))
        if self.token in ("^", "_", "!", "'"):
            raise NotReadError
        return value

    def base(self) -> Value:
        token = self.take()
        if token[:1].isdigit() or (token[:1] == "." and len(token) > 1):
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
            return divide(self.argument(fraction=True), self.argument(fraction=True))
        if token == "\\sqrt":
            return square_root(self.argument())
        raise NotReadError

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
