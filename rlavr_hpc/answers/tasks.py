"""What an answer is, when two are equal, and what a response earns: one class per kind of task."""

from __future__ import annotations

from typing import Protocol

from rlavr_hpc.answers.equivalence import equal_answers
from rlavr_hpc.answers.extract import last_answer_block, last_boxed
from rlavr_hpc.answers.knights import puzzle_names, read_roles
from rlavr_hpc.errors import UserError


class Task(Protocol):
    """One kind of question."""

    def extract(self, response: str, question: str) -> str | None:
        """The final answer of a response; None = unparsable."""

    def gold(self, label: str, question: str) -> str:
        """A label in the form in which answers are compared."""

    def same(self, one: str, other: str) -> bool:
        """Whether two answers are equal."""

    def reward(self, response: str, answer: str | None, *, correct: bool) -> float:
        """What a response earns, with the answer read from it."""


class MathTask:
    r"""Answers in `\boxed{}`, compared as mathematics; reward 1 or 0."""

    def extract(self, response: str, question: str) -> str | None:
        """The last box's content."""
        return last_boxed(response)

    def gold(self, label: str, question: str) -> str:
        """The label, without the box some data sets put around it."""
        return last_boxed(label) or label

    def same(self, one: str, other: str) -> bool:
        """Mathematical equality."""
        return equal_answers(one, other)

    def reward(self, response: str, answer: str | None, *, correct: bool) -> float:
        """1 or 0."""
        return float(correct)


class KnightsTask:
    """Roles in an `<answer>` block; reward in [-3, 3] (method, section 6)."""

    def extract(self, response: str, question: str) -> str | None:
        """The canonical roles of everyone the puzzle names."""
        block = last_answer_block(response)
        return read_roles(block, puzzle_names(question)) if block else None

    def gold(self, label: str, question: str) -> str:
        """The label in canonical form; a label that names others is kept as it is."""
        return read_roles(label, puzzle_names(question)) or label

    def same(self, one: str, other: str) -> bool:
        """Everyone has the same role."""
        return one == other

    def reward(self, response: str, answer: str | None, *, correct: bool) -> float:
        """Format +1 or -1; answer +2 right, -1.5 wrong, -2 unparsable."""
        form = 1.0 if last_answer_block(response) else -1.0
        if answer is None:
            return form - 2.0
        return form + (2.0 if correct else -1.5)


TASKS: dict[str, Task] = {"math": MathTask(), "knights": KnightsTask()}


def find_task(name: str) -> Task:
    """The task of that name.

    Raises:
        UserError: there is none.
    """
    if name not in TASKS:
        raise UserError(f"data.task={name!r} is not one of {', '.join(sorted(TASKS))}")
    return TASKS[name]
