"""Multiple choice: the letter of an option."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rlavr_hpc.answers.extract import last_answer_block, last_boxed, stated_answer
from rlavr_hpc.answers.sandbox.protocol import TEXT
from rlavr_hpc.labels.text import accepted_answers

STYLE = re.compile(r"\\[a-zA-Z]+|[{}()\[\]*$]")
LETTER = re.compile(r"(?:(?:option|choice|answer)\s+)?([A-Za-z])(?:\s*[.:)]|\s*$)", re.IGNORECASE)
LEADING_LETTER = re.compile(r"\s*(?:[Oo]ption\s+)?([A-Z])(?![A-Za-z])")
MAX_CHOICE_CHARS = 200


@dataclass(frozen=True, slots=True)
class ChoiceTask:
    """One letter of several; reward 1 or 0."""

    mode: str = TEXT

    def extract(self, response: str, question: str) -> str | None:
        """The letter in the last box, in the last answer block, or stated as the answer."""
        for text in (last_boxed(response), last_answer_block(response)):
            if text and (letter := _letter(text)):
                return letter
        return _letter(stated_answer(response) or "", prose=True)

    def accepted(self, label: str, question: str) -> tuple[str, ...]:
        """The letters of the labels."""
        return tuple(_letter(answer) or answer for answer in accepted_answers(label))

    def reward(self, response: str, answer: str | None, *, correct: bool) -> float:
        """1 or 0."""
        return float(correct)


def _letter(text: str, *, prose: bool = False) -> str | None:
    """The letter of a choice, in any style; in prose it must stand alone or before a full stop."""
    plain = " ".join(STYLE.sub(" ", text[:MAX_CHOICE_CHARS]).split())
    found = LETTER.match(plain)
    if found is None and (not prose or text.lstrip(" *$").startswith("(")):
        found = LEADING_LETTER.match(plain)
    return found[1].upper() if found else None
