"""What an answer is, when two are equal, and what a response earns: one class per kind of task."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from rlavr_hpc.answers.extract import last_answer_block, last_boxed, stated_answer
from rlavr_hpc.answers.knights import puzzle_names, read_roles
from rlavr_hpc.answers.sandbox.protocol import ANY, LATEX, TEXT
from rlavr_hpc.config.grading import Extract
from rlavr_hpc.errors import UserError
from rlavr_hpc.labels.text import accepted_answers

MAX_PROSE_CHARS = 20_000
"""How much of a response's end is searched for an answer that stands in no box."""
STYLE = re.compile(r"\\[a-zA-Z]+|[{}()\[\]*$]")
LETTER = re.compile(r"(?:(?:option|choice|answer)\s+)?([A-Za-z])(?:\s*[.:)]|\s*$)", re.IGNORECASE)
LEADING_LETTER = re.compile(r"\s*(?:[Oo]ption\s+)?([A-Z])(?![A-Za-z])")
MAX_CHOICE_CHARS = 200


class Task(Protocol):
    """One kind of question."""

    @property
    def mode(self) -> str:
        """How answers are read and compared: a mode of `equivalence`."""

    def extract(self, response: str, question: str) -> str | None:
        """The final answer of a response, or the text that holds it; None = unparsable."""

    def accepted(self, label: str, question: str) -> tuple[str, ...]:
        """The accepted answers of a label, in the form in which answers are compared."""

    def reward(self, response: str, answer: str | None, *, correct: bool) -> float:
        """What a response earns, with the answer read from it."""


@dataclass(frozen=True, slots=True)
class MathTask:
    r"""Answers in `\boxed{}`, compared as mathematics; reward 1 or 0."""

    where: Extract = Extract.boxed

    @property
    def mode(self) -> str:
        """As formulas, or as prose in which the formula has to be found."""
        return ANY if self.where is Extract.any else LATEX

    def extract(self, response: str, question: str) -> str | None:
        """The last box's content; without a box what `where` allows."""
        if self.where is Extract.any:
            return response[-MAX_PROSE_CHARS:]
        boxed = last_boxed(response)
        if boxed is None and self.where is Extract.stated:
            return stated_answer(response)
        return boxed

    def accepted(self, label: str, question: str) -> tuple[str, ...]:
        """The labels, without the box or the dollars that some data sets put around them."""
        if self.where is Extract.any:
            return tuple(answer[-MAX_PROSE_CHARS:] for answer in accepted_answers(label))
        return tuple(
            last_boxed(answer) or answer[:MAX_PROSE_CHARS] for answer in accepted_answers(label)
        )

    def reward(self, response: str, answer: str | None, *, correct: bool) -> float:
        """1 or 0."""
        return float(correct)


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


@dataclass(frozen=True, slots=True)
class KnightsTask:
    """Roles in an `<answer>` block; reward in [-3, 3] (method, section 6)."""

    mode: str = TEXT

    def extract(self, response: str, question: str) -> str | None:
        """The canonical roles of everyone the puzzle names."""
        block = last_answer_block(response)
        return read_roles(block, puzzle_names(question)) if block else None

    def accepted(self, label: str, question: str) -> tuple[str, ...]:
        """The labels in canonical form; one that names others is kept as it is."""
        names = puzzle_names(question)
        return tuple(read_roles(answer, names) or answer for answer in accepted_answers(label))

    def reward(self, response: str, answer: str | None, *, correct: bool) -> float:
        """Format +1 or -1; answer +2 right, -1.5 wrong, -2 unparsable."""
        form = 1.0 if last_answer_block(response) else -1.0
        if answer is None:
            return form - 2.0
        return form + (2.0 if correct else -1.5)


def _letter(text: str, *, prose: bool = False) -> str | None:
    """The letter of a choice, in any style; in prose it must stand alone or before a full stop."""
    plain = " ".join(STYLE.sub(" ", text[:MAX_CHOICE_CHARS]).split())
    found = LETTER.match(plain)
    if found is None and (not prose or text.lstrip(" *$").startswith("(")):
        found = LEADING_LETTER.match(plain)
    return found[1].upper() if found else None


TASKS = ("math", "choice", "knights")


def make_tasks(where: Extract) -> Mapping[str, Task]:
    """All tasks; `where` tells where a math answer may stand."""
    return {"math": MathTask(where=where), "choice": ChoiceTask(), "knights": KnightsTask()}


def check_task(name: str) -> None:
    """Raise UserError unless there is a task of that name."""
    if name not in TASKS:
        raise UserError(f"data.task={name!r} is not one of {', '.join(sorted(TASKS))}")
