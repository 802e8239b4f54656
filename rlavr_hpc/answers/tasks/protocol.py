"""What every kind of task does, and the class that a task of one's own is derived from."""

from __future__ import annotations

import unicodedata
from typing import Protocol

from rlavr_hpc.answers.sandbox.protocol import OWN, OWN_LABEL
from rlavr_hpc.answers.thoughts import final_part
from rlavr_hpc.labels import places
from rlavr_hpc.labels.text import accepted_answers


class TaskRules(Protocol):
    """One kind of question, as votes and grades see it."""

    @property
    def mode(self) -> str:
        """How answers are read and compared: a mode of `sandbox.protocol`."""

    def extract(self, response: str, question: str) -> str | None:
        """The final answer of a response, or the text that holds it; None = unparsable."""

    def accepted(self, label: str, question: str) -> tuple[str, ...]:
        """The accepted answers of a label, in the form in which answers are compared."""

    def reward(
        self, response: str, answer: str | None, *, correct: bool, question: str = ""
    ) -> float:
        """What a response to a question earns, with the answer read from it."""


def label_mode(mode: str) -> str:
    """The mode of a label, from that of the answers it is compared with."""
    return mode.replace(OWN, OWN_LABEL, 1) if mode.startswith(f"{OWN}:") else mode


class Task:
    """A task of one's own: derive a dataclass from it; its fields are the task's settings.

    Every method may be replaced. They are called in a process that may be killed, under limits on
    time and memory, since responses are hostile text. An answer at which one of them passes a limit
    or raises an error is ungradable: it does not vote and earns nothing. They must depend on their
    arguments and settings alone.
    """

    no_answer: float = 0.0
    """What a response without an answer earns, and one that is ungradable."""

    def extract(self, response: str, question: str) -> str | None:
        """The final answer of a response; None = there is none.

        Args:
            response: what the model wrote, the last 20,000 characters of it.
            question: what the model read, in the same way.
        """
        return find_answer(response, question)

    def normalize(self, answer: str) -> str:
        """Equal for answers that are written differently and say the same."""
        return " ".join(unicodedata.normalize("NFKC", answer).casefold().split())

    def equal(self, one: str, other: str) -> bool:
        """Whether two answers are one in the vote."""
        return self.normalize(one) == self.normalize(other)

    def grade(self, answer: str, label: str, question: str) -> float:
        """What an answer earns by the label; from 1 on it counts as correct. A bool is 1 or 0."""
        return float(any(self.equal(answer, accepted) for accepted in accepted_answers(label)))


def find_answer(response: str, question: str = "") -> str | None:
    """What stands behind the last mark of an answer, after the thoughts; see `labels.places`."""
    return places.find_answer(final_part(response, question))
