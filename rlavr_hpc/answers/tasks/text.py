"""Words and names: equal after normalization, numbers within a tolerance."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal

from rlavr_hpc.answers.tasks.protocol import Task
from rlavr_hpc.labels.text import accepted_answers

SPELLINGS = str.maketrans(
    {
        "\u2018": "'",
        "\u2019": "'",
        "\u201c": '"',
        "\u201d": '"',
        "\u2010": "-",
        "\u2011": "-",
        "\u2012": "-",
        "\u2013": "-",
        "\u2014": "-",
        "\u2212": "-",
    }
)
"""Quotes, dashes and signs that are typed in several ways."""
AT_ENDS = ".,;:!?\u2026\u3002\u3001\u00bf\u00a1\u00ab\u00bb\"'`*_ "
BRACKETS = {"(": ")", "[": "]", "{": "}", "$": "$"}
STYLE = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox)\s*\{([^{}]*)\}")
ARTICLE = re.compile(r"(?:a|an|the) ", re.IGNORECASE)
NUMBER = re.compile(
    r"[-+]?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)?(?:\.[0-9]*)?(?:e[-+]?[0-9]{1,3})?", re.IGNORECASE
)
MAX_NUMBER_CHARS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTask(Task):
    """A text that is right as it stands, or one of several; reward 1 or 0."""

    tolerance: float = 0.0
    """Numbers are equal that differ by at most this share of the label, or of the larger one."""
    ignore_case: bool = True
    ignore_articles: bool = True
    """A leading a, an or the."""
    ignore_punctuation: bool = True
    """At the ends, with quotes and brackets around everything."""

    def __post_init__(self) -> None:
        """Check ranges."""
        if not 0 <= self.tolerance < 1:
            raise ValueError(f"tolerance={self.tolerance} is outside [0, 1)")

    def normalize(self, answer: str) -> str:
        """Compatible characters made one, spaces joined, and what the settings ignore left out."""
        text = unicodedata.normalize("NFKC", answer).translate(SPELLINGS)
        text = " ".join(STYLE.sub(r"\1", text).split())
        if _number(text) is None and self.ignore_punctuation:
            text = _without_ends(text)
        if self.ignore_articles and _number(text) is None:
            text = ARTICLE.sub("", text, count=1) if ARTICLE.match(text) else text
        return text.casefold() if self.ignore_case else text

    def equal(self, one: str, other: str) -> bool:
        """Equal when normalized, or as numbers."""
        return self._equal(one, other, to_label=False)

    def grade(self, answer: str, label: str, question: str) -> float:
        """1 where an accepted answer is met."""
        accepted = accepted_answers(label)
        return float(any(self._equal(answer, known, to_label=True) for known in accepted))

    def _equal(self, answer: str, other: str, *, to_label: bool) -> bool:
        first, second = self.normalize(answer), self.normalize(other)
        a, b = _number(first), _number(second)
        if a is None or b is None:
            return first == second
        size = abs(b) if to_label else max(abs(a), abs(b))
        return a == b or abs(a - b) <= Decimal(str(self.tolerance)) * size


def _without_ends(text: str) -> str:
    """Without punctuation at the ends and brackets around it; a text of nothing else stays."""
    before = None
    bare = text
    while bare != before:
        before = bare
        bare = bare.strip(AT_ENDS)
        if len(bare) > 1 and BRACKETS.get(bare[0]) == bare[-1] and bare[0] not in bare[1:-1]:
            bare = bare[1:-1]
    return bare or text


def _number(text: str) -> Decimal | None:
    """The number that a text is, commas between thousands allowed."""
    if len(text) > MAX_NUMBER_CHARS or not NUMBER.fullmatch(text):
        return None
    if not any(character.isdigit() for character in text):
        return None
    return Decimal(text.replace(",", ""))
