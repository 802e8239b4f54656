"""Knights and knaves: who is what."""

from __future__ import annotations

from dataclasses import dataclass

from rlavr_hpc.answers.extract import last_answer_block
from rlavr_hpc.answers.knights import puzzle_names, read_roles
from rlavr_hpc.answers.sandbox.protocol import TEXT
from rlavr_hpc.labels.text import accepted_answers


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
