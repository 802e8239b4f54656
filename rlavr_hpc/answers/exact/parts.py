r"""Answers of several parts: `(a) 4 (b) 5`, `9 hens and 10 goats`, `2 or 3`, `x = 1, y = 2`."""

from __future__ import annotations

import re
from itertools import pairwise

from rlavr_hpc.answers.exact.polynomial import NotReadError
from rlavr_hpc.answers.exact.tidy import TEXT
from rlavr_hpc.answers.exact.units import factor_of, without_unit
from rlavr_hpc.answers.exact.words import CHANGES_VALUE, MONTH, SAYS_MORE, STYLE

LABEL = re.compile(
    rf"(?:{TEXT}\{{)?\s*(?:part )?\(?\b([a-h]|[A-H]|i{{1,3}}|iv|[1-8])\)[.:]?\s*\}}?\s*",
    re.IGNORECASE,
)
NAMED = re.compile(r"[A-Za-z](?:_[0-9a-z])?\s*=\s*")
ORDERS = ("abcdefgh", "12345678", ("i", "ii", "iii", "iv"))
NUMBER = r"[-+]?(?:[0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)?(?:/[0-9]+)?|\\frac\{[0-9]+\}\{[0-9]+\})"
BEFORE = re.compile(rf"([^\W\d_]{{2,20}}(?: [^\W\d_]{{1,20}}){{0,3}})\s*[:=]\s*({NUMBER})")
AND = r"(?:\s*(?:,\s*and\b|,|;|\band\b|&|\s)\s*)"
NOUN = re.compile(
    rf"({NUMBER})\s*([^\W\d_]{{2,20}}(?: [^\W\d_]{{2,20}}){{0,3}}?)(?={AND}{NUMBER}|$){AND}?"
)
CONNECTOR = re.compile(
    rf"\s*,?\s*(?:{TEXT}\{{\s*,?\s*(?:and|or|und|oder|et|ou)\s*\}}|(?<![A-Za-z])(?:and|or)(?![A-Za-z])"
    r"|\\lor(?![a-z])|\\land(?![a-z])|(?<=[0-9}])\s*[和或及与]\s*(?=[-0-9\\]))\s*"
)
ENDS_OPEN = ("+", "-", "*", "/", "=", "<", ">", ",", "(", "[", "{", "&", "\\")


def labelled_parts(text: str) -> list[tuple[str, str]]:
    """The parts of an answer with their labels: letters in brackets, or nouns; empty without any.

    Args:
        text: a tidy answer.
    """
    return _lettered(text) or _with_nouns(text) or _after_nouns(text)


def _lettered(text: str) -> list[tuple[str, str]]:
    found = list(LABEL.finditer(text))
    if len(found) < 2 or found[0].start() != 0:
        return []
    labels = [mark[1].lower() for mark in found]
    if not any(labels == list(order[: len(labels)]) for order in ORDERS):
        return []
    ends = [*(mark.start() for mark in found[1:]), len(text)]
    values = [_bare(text[mark.end() : end]) for mark, end in zip(found, ends, strict=True)]
    if not all(values) or any(bad in value for value in values for bad in ("(", ")")):
        return [] if not all(map(_balanced, values)) or not all(values) else _zip(labels, values)
    return _zip(labels, values)


def _bare(value: str) -> str:
    """A part's value without its name and its unit."""
    value = NAMED.sub("", value.strip(" ,;.$"))
    try:
        value, factor = without_unit(value)
    except NotReadError:
        return ""
    return value if factor == 1 else ""


def _zip(labels: list[str], values: list[str]) -> list[tuple[str, str]]:
    return list(zip(labels, values, strict=True))


def _balanced(text: str) -> bool:
    return text.count("(") == text.count(")")


def _with_nouns(text: str) -> list[tuple[str, str]]:
    plain = STYLE.sub(r"\1", text).replace("\\ ", " ").strip()
    plain = " ".join(plain.split())
    matches = list(NOUN.finditer(plain))
    if len(matches) < 2 or matches[0].start() != 0 or matches[-1].end() != len(plain):
        return []
    if any(one.end() != other.start() for one, other in pairwise(matches)):
        return []
    nouns = [re.sub(r"^and | and$", "", mark[2].lower()) for mark in matches]
    if any(map(_is_no_noun, nouns)) or MONTH.search(plain):
        return []
    return [(noun, mark[1]) for noun, mark in zip(nouns, matches, strict=True)]


def _is_no_noun(noun: str) -> bool:
    """Whether one of the words says more of the number before it, or multiplies it."""
    words = noun.split()
    return bool({*words} & (SAYS_MORE | CHANGES_VALUE)) or any(map(factor_of, words))


def _after_nouns(text: str) -> list[tuple[str, str]]:
    """`hens: 9, goats: 10`."""
    plain = " ".join(STYLE.sub(r"\1", text).replace("\\ ", " ").split())
    found = [BEFORE.fullmatch(part.strip()) for part in re.split(r"[,;]|\band\b", plain)]
    pairs = [(mark[1].strip().lower(), mark[2]) for mark in found if mark is not None]
    return pairs if len(pairs) == len(found) > 1 else []


def with_commas(text: str) -> str:
    """`2 or 3`, `2 and 3`, and values on lines of their own, with commas between."""
    lines = [line.strip() for line in text.replace("\\\\", "\n").splitlines() if line.strip()]
    if len(lines) > 1 and "\\begin" not in text and not any(map(_goes_on, lines)):
        text = ", ".join(line.rstrip(",;") for line in lines)
    text = CONNECTOR.sub(", ", text)
    return re.sub(r"\s*;\s*", ", ", text) if ";" in text else text


def _goes_on(line: str) -> bool:
    """Whether a line is a piece of a formula rather than a value."""
    return line.startswith(("+", "*", "/", "=", "<", ">", ")", "]", "}", "&")) or line.rstrip(
        ",;"
    ).endswith(ENDS_OPEN)
