"""A study's label bank: answers that one run has paid for and no other run pays for again.

A folder of the same shape as a mailbox, without orders: `labels/answers` holds what is known,
`labels/claims` and `labels/sent` who asks. Keys are made of what is asked, so runs need not know of
each other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from rlavr_hpc.labels.line_files import LinesOut
from rlavr_hpc.labels.mailbox import ANSWERS, AnswersIn
from rlavr_hpc.labels.orders import Answer
from rlavr_hpc.labels.sent import CallsIn


@dataclass(slots=True)
class Bank:
    """One process's view of the bank, and its writer."""

    folder: Path
    start: str
    """Name of this start of the bridge, which writes a file of its own."""
    _in: AnswersIn = field(init=False)
    _out: LinesOut = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is read yet."""
        self._in = AnswersIn(self.folder)
        self._out = LinesOut(self.folder / ANSWERS, f"{self.start}-bank")

    @property
    def answers(self) -> dict[str, Answer]:
        """By key. A void one is no answer: another run may have more luck."""
        return {key: answer for key, answer in self._in.first.items() if answer.void is None}

    def look(self) -> None:
        """Read what other processes have put in."""
        self._out.restore()
        self._in.look()

    def put(self, answer: Answer) -> None:
        """Add an answer, on disk on return; one that is known already is left out."""
        if answer.key not in self._in.first:
            self._out.append([answer.to_row()])
            self._in.look()

    def spent(self) -> float:
        """Money that the whole study has really paid: calls, and answers that needed none."""
        calls = CallsIn(self.folder)
        calls.look()
        self.look()
        logged = sum(one.cost for one in calls.calls.values())
        return logged + sum(
            answer.cost or 0.0 for key, answer in self._in.first.items() if key not in calls.calls
        )
