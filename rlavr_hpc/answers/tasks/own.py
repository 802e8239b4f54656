"""A task that a class of its own decides, as votes and grades see it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from rlavr_hpc.answers.sandbox.protocol import OWN
from rlavr_hpc.errors import UserError

MAX_TEXT_CHARS = 20_000
"""Of a response and of what was read before it: the end, which holds the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassTask:
    """Hands responses and labels on to who calls the class."""

    name: str
    no_answer: float
    """What a response without an answer earns."""

    @property
    def mode(self) -> str:
        """Its own."""
        return f"{OWN}:{self.name}"

    def extract(self, response: str, question: str) -> str:
        """What the class finds the answer in."""
        texts = [response[-MAX_TEXT_CHARS:], question[-MAX_TEXT_CHARS:]]
        return json.dumps(texts, ensure_ascii=False)

    def accepted(self, label: str, question: str) -> tuple[str, ...]:
        """What the class grades by.

        Raises:
            UserError: the label is too long to be handed on.
        """
        if len(label) > MAX_TEXT_CHARS:
            raise UserError(
                f"task={self.name}: a label has {len(label):,} characters; {MAX_TEXT_CHARS:,} are "
                "the most that a task of your own is given"
            )
        return (json.dumps([label, question[-MAX_TEXT_CHARS:]], ensure_ascii=False),)

    def reward(
        self, response: str, answer: str | None, *, correct: bool, question: str = ""
    ) -> float:
        """1 or 0 in the vote, for a label what the class says."""
        return self.no_answer if answer is None else float(correct)
