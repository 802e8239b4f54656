"""Multiple choice: the letters of one or several options."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rlavr_hpc.answers.exact.signs import plain_signs
from rlavr_hpc.answers.sandbox.protocol import TEXT
from rlavr_hpc.answers.thoughts import final_part
from rlavr_hpc.config.grading import Thoughts
from rlavr_hpc.labels import places
from rlavr_hpc.labels.extract import stated_answer
from rlavr_hpc.labels.text import accepted_answers

STYLE = re.compile(r"\\(?:[a-zA-Z]+|[{}])|[{}\[\]*$`\"_]|\\[,;:! ]|~")
LEAD = re.compile(
    r"(?:(?:the|both|correct|final|my|option|options|choice|choices|answer|answers|letter|letters"
    r"|is|are|only|statement|statements|[:\-])\s+)*(?:answer|answers|option|options|choice|choices)?\s*[:\-]?\s*",
    re.IGNORECASE,
)
ITEM = re.compile(r"\(?\s*([A-Za-z])\s*(?:\)|[.:](?=\s|$))?(?![A-Za-z])")
JOIN = re.compile(
    r"\s*(?:[\u548c\u6216\u53ca\u4e0e]|,?\s*(?:and|or|und|et|y)\s+|[,;&+/|]\s*(?:and\s+)?|\s+|(?=\())\s*",
    re.IGNORECASE,
)
RUN = re.compile(r"\(?([A-J]{2,10})\)?[.\s]*")
SMALL_RUN = re.compile(r"\(?([a-j]{2,10})\)?[.\s]*")
LETTER = re.compile(r"\(?\s*([A-Za-z])\s*(?:[.:)]|\s*$)")
LEADING_LETTER = re.compile(r"\(?\s*([A-Z])\s*\)?(?=\s*(?:[,;0-9\\$\u2014-]|\($))(?![A-Za-z])")
INDEX = re.compile(r"[0-9]")
MAX_CHOICE_CHARS = 200


@dataclass(frozen=True, slots=True)
class ChoiceTask:
    """One letter of several, or a set of them; reward 1 or 0."""

    thoughts: Thoughts = Thoughts.skip
    mode: str = TEXT

    def extract(self, response: str, question: str) -> str | None:
        """The letters behind the last mark that names some, or stated as the answer."""
        if self.thoughts is Thoughts.skip:
            response = final_part(response, question)
        found = [mark for place in PLACES if (mark := place(response)) is not None]
        for mark in sorted(found, key=lambda mark: -mark.at):
            if mark.text and (letters := read_letters(mark.text)):
                return letters
        return read_letters(stated_answer(response) or "", prose=True)

    def accepted(self, label: str, question: str) -> tuple[str, ...]:
        """The letters of the labels; an index from 0 on stands for its letter."""
        return tuple(map(_label, accepted_answers(label)))

    def reward(
        self, response: str, answer: str | None, *, correct: bool, question: str = ""
    ) -> float:
        """1 or 0."""
        return float(correct)


PLACES = (places.box, places.line, places.block, places.hashes)


def _label(answer: str) -> str:
    answer = places.marked_text(answer) or answer
    if INDEX.fullmatch(answer.strip()):
        return chr(ord("A") + int(answer))
    return read_letters(answer) or answer


def read_letters(text: str, *, prose: bool = False) -> str | None:
    """The letters of options in alphabetical order, `A, C`; None where the text is another.

    Args:
        text: an answer, in any style.
        prose: whether it is the rest of a sentence: one letter must then stand alone or before a
            full stop.
    """
    plain = plain_signs(text[:MAX_CHOICE_CHARS]).replace("\\\\", " ").replace("\\&", "&")
    plain = " ".join(STYLE.sub(" ", plain).split())
    plain = plain[LEAD.match(plain).end() :] if not ITEM.fullmatch(plain) else plain  # type: ignore[union-attr]
    run = RUN.fullmatch(plain) or SMALL_RUN.fullmatch(plain)
    if run and len(set(run[1])) == len(run[1]) and (run[1].isupper() or _rises(run[1])):
        return _in_order(run[1])
    letters = _listed(plain)
    if letters:
        return _in_order(letters)
    found = LETTER.match(plain)
    if found is None and (not prose or plain.startswith("(")):
        found = LEADING_LETTER.match(plain)
    return found[1].upper() if found else None


def _listed(plain: str) -> str:
    """The letters of a text that is nothing but letters and what joins them; else empty."""
    letters, at = "", 0
    plain = plain.rstrip(" .")
    while at < len(plain):
        item = ITEM.match(plain, at)
        if item is None:
            return ""
        letters, at = letters + item[1], item.end()
        join = JOIN.match(plain, at)
        if at < len(plain) and join is None:
            return ""
        at = join.end() if join else at
    return letters


def _rises(letters: str) -> bool:
    return list(letters) == sorted(letters)


def _in_order(letters: str) -> str:
    return ", ".join(sorted(set(letters.upper())))
