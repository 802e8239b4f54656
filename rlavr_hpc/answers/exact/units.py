r"""Units, counters and other words behind a number: left out, or a factor such as `million`."""

from __future__ import annotations

import re
from itertools import takewhile
from math import prod

from rlavr_hpc.answers.exact.polynomial import NotReadError
from rlavr_hpc.answers.exact.tidy import TEXT
from rlavr_hpc.answers.exact.words import SAYS_MORE

UNIT = re.compile(TEXT + r"\{([^{}0-9\\]*)\}(?:\^\{?[0-9]\}?)?\s*$")
PLAIN_UNIT = re.compile(
    r"(?<=[0-9}])\s*(?:(?:sq\.?|square|cubic)\s+)?(?:cm|mm|km|kg|mg|ml|mL|kW|in|ft|lbs?|oz|mph"
    r"|inch(?:es)?|feet|units?|meters?|metres?|miles?|hours?|minutes?|seconds?|days?|years?"
    r"|hrs?|mins?|secs?|yrs?|pcs|kph|rpm|kWh|kmh"
    r"|degrees?(?: (?:Celsius|Fahrenheit|Kelvin))?|dollars?|(?:k?m|cm|mi|ft)/(?:s|h|hr|min)"
    r"|g/(?:cm|mol|L))(?:\^\{?[23]\}?)?$"
)
WORDS = re.compile(r"(?<=[0-9}%)])\s+((?:[^\W\d_]{2,}[.]?)(?:[ /]+[^\W\d_]+){0,4})$")
COUNTER = re.compile(r"(?<=[0-9}%)])\s*([\u3005-\u30ff\u3400-\u9fff\uac00-\ud7af]{1,6})$")
FACTORS = {
    "hundred": 100,
    "thousand": 1000,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
    "quadrillion": 10**15,
    "dozen": 12,
    "lakh": 10**5,
    "crore": 10**7,
    "milliard": 10**9,
    "mln": 10**6,
    "bln": 10**9,
    "bn": 10**9,
}
"""Words that multiply the number before them, one behind the other, also in the plural."""
FAR_FACTORS = {"万": 10**4, "萬": 10**4, "만": 10**4, "亿": 10**8, "億": 10**8, "억": 10**8}
FAR_NOT_A_UNIT = re.compile("[半分之多余第又和或]|以上|以下|左右")
FAR_UNITS = ("分钟", "分鐘", "分米", "分", "分間", "公分")
NOT_A_UNIT = frozenset({"and", "or", "if", "to", "i", "e", "none", "no", "pi", "x", "y", "z", "n"})


def without_unit(text: str) -> tuple[str, int]:
    """A tidy answer without its unit, and what a word multiplies it by.

    Raises:
        NotReadError: words that are no unit stand behind the value.
    """
    text = PLAIN_UNIT.sub("", text)
    found = UNIT.search(text) or WORDS.search(text)
    if found and found.start() > 0:
        return _without_words(text[: found.start()].strip(), found[1])
    far = COUNTER.search(text)
    if far is None:
        return text, 1
    word = far[1]
    factor = FAR_FACTORS.get(word[0], 1)
    if FAR_NOT_A_UNIT.search(word) and word not in FAR_UNITS:
        raise NotReadError
    return text[: far.start()].strip(), factor


def _without_words(value: str, unit: str) -> tuple[str, int]:
    words = unit.lower().replace(".", " ").split()
    if words[:1] == ["percent"]:
        return f"{value}%", 1
    if (NOT_A_UNIT | SAYS_MORE) & set(words):
        raise NotReadError
    factors = list(takewhile(bool, map(factor_of, words)))
    if any(map(factor_of, words[len(factors) :])):
        raise NotReadError
    return value, prod(factors)


def factor_of(word: str) -> int:
    """What a word multiplies the number before it by; 0 = it is no such word."""
    return FACTORS.get(word) or FACTORS.get(word.removesuffix("s"), 0)
