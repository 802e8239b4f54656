"""What every kind of task does."""

from __future__ import annotations

from typing import Protocol


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
