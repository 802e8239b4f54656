"""Mathematics: an answer in a LaTeX box, or where the data asks for it."""

from __future__ import annotations

from dataclasses import dataclass

from rlavr_hpc.answers.extract import last_boxed, stated_answer
from rlavr_hpc.answers.sandbox.protocol import ANY, LATEX
from rlavr_hpc.config.grading import Extract
from rlavr_hpc.labels.text import accepted_answers

MAX_PROSE_CHARS = 20_000
"""How much of a response's end is searched for an answer that stands in no box."""


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
