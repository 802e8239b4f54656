"""Knights and knaves: who is what."""

from __future__ import annotations

from dataclasses import dataclass

from rlavr_hpc.answers.knights import puzzle_names, read_roles
from rlavr_hpc.answers.sandbox.protocol import TEXT
from rlavr_hpc.answers.thoughts import final_part
from rlavr_hpc.config.grading import Thoughts
from rlavr_hpc.labels.extract import last_answer_block
from rlavr_hpc.labels.text import accepted_answers


@dataclass(frozen=True, slots=True)
class KnightsTask:
    """Roles in an `<answer>` block; reward in [-3, 3] (method, section 6)."""

    thoughts: Thoughts = Thoughts.skip
    mode: str = TEXT

    def extract(self, response: str, question: str) -> str | None:
        """The canonical roles of everyone the puzzle names."""
        block = self._block(response, question)
        return read_roles(block, puzzle_names(question)) if block else None

    def accepted(self, label: str, question: str) -> tuple[str, ...]:
        """The labels in canonical form; one that names others is kept as it is."""
        names = puzzle_names(question)
        return tuple(read_roles(answer, names) or answer for answer in accepted_answers(label))

    def reward(
        self, response: str, answer: str | None, *, correct: bool, question: str = ""
    ) -> float:
        """Format +1 or -1; answer +2 right, -1.5 wrong, -2 unparsable."""
        form = 1.0 if self._block(response, question) else -1.0
        if answer is None:
            return form - 2.0
        return form + (2.0 if correct else -1.5)

    def _block(self, response: str, question: str) -> str | None:
        """The last answer block; a draft in a thought is none, unless thoughts are read."""
        if self.thoughts is Thoughts.skip:
            response = final_part(response, question)
        return last_answer_block(response)
