"""Mathematics: an answer in a LaTeX box, or where the data asks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rlavr_hpc.answers.sandbox.protocol import ANY, LATEX
from rlavr_hpc.answers.thoughts import final_part
from rlavr_hpc.config.grading import Extract, Thoughts
from rlavr_hpc.labels import places
from rlavr_hpc.labels.extract import last_boxed, stated_answer
from rlavr_hpc.labels.text import accepted_answers

MAX_PROSE_CHARS = 20_000
"""How much of a response's end is searched for an answer that stands in no box."""


@dataclass(frozen=True, slots=True)
class MathTask:
    r"""Answers in `\boxed{}` or elsewhere, compared as mathematics; reward 1 or 0."""

    where: Extract = Extract.auto
    thoughts: Thoughts = Thoughts.skip

    @property
    def mode(self) -> str:
        """As formulas, or as prose in which the formula has to be found."""
        return ANY if self.where is Extract.any else LATEX

    def extract(self, response: str, question: str) -> str | None:
        """The answer, at the place that `where` names."""
        if self.thoughts is Thoughts.skip:
            response = final_part(response, question)
        return FINDERS[self.where](response)

    def accepted(self, label: str, question: str) -> tuple[str, ...]:
        """The labels, without the box, the dollars or the worked solution around them."""
        if self.where is Extract.any:
            return tuple(answer[-MAX_PROSE_CHARS:] for answer in accepted_answers(label))
        return tuple(
            final_answer(answer) or answer[:MAX_PROSE_CHARS] for answer in accepted_answers(label)
        )

    def reward(
        self, response: str, answer: str | None, *, correct: bool, question: str = ""
    ) -> float:
        """1 or 0."""
        return float(correct)


def final_answer(label: str) -> str | None:
    """The answer at the end of a worked solution: behind `####`, in a box, in an answer block."""
    marked = places.find_marked(label)
    return marked.text if marked else None


def _boxed_or_stated(response: str) -> str | None:
    boxed = last_boxed(response)
    return stated_answer(response) if boxed is None else boxed


def _only(place: places.Finder) -> Callable[[str], str | None]:
    def find(response: str) -> str | None:
        found = place(response)
        return None if found is None else found.text

    return find


FINDERS: Mapping[Extract, Callable[[str], str | None]] = {
    Extract.auto: places.find_answer,
    Extract.boxed: last_boxed,
    Extract.line: _only(places.line),
    Extract.block: _only(places.block),
    Extract.hashes: _only(places.hashes),
    Extract.stated: _boxed_or_stated,
    Extract.any: lambda response: response[-MAX_PROSE_CHARS:] or None,
}
