"""The desk: its runs, its people and its record, and what a page asks of them.

Everything runs under one lock, in whatever thread; grading, which may take seconds, runs outside.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rlavr_hpc.config.label_desk import DeskConfig
from rlavr_hpc.labels.desk.access import Access
from rlavr_hpc.labels.desk.assignments import Assignments
from rlavr_hpc.labels.desk.journal import DESK, DeskJournal
from rlavr_hpc.labels.desk.mailboxes import Mailboxes
from rlavr_hpc.labels.desk.reading import Preview
from rlavr_hpc.labels.served_run import Say, ServedRun

FIND_SECONDS = 300.0
"""Between two searches for new runs; a search walks through folders."""
LOOK_SECONDS = 20.0
"""Between two looks into the mailboxes, at least."""


@dataclass(slots=True, kw_only=True)
class Desk:
    """Serves the runs at or below a folder to annotators."""

    top: Path
    find: Callable[[], Sequence[ServedRun]]
    """The runs of `labels=people`, called now and then."""
    preview: Preview
    say: Say
    config: DeskConfig
    start: str
    after: Callable[[ServedRun], None] = lambda run: None
    """Called for each run after each look."""
    wanted: Callable[[Path], bool] = lambda run: True
    """Whether a run may still use labels; nobody is asked for any other."""
    journal: DeskJournal = field(init=False)
    access: Access = field(init=False)
    mail: Mailboxes = field(init=False)
    assignments: Assignments = field(init=False)
    lock: threading.RLock = field(default_factory=threading.RLock)
    _found_at: float | None = None
    _ended: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        """Read what earlier desks have left.

        Raises:
            UserError: the folder cannot be used.
            OSError: the same.
        """
        self.journal = DeskJournal(self.top / DESK, self.start)
        self.access = Access(self.journal)
        self.mail = Mailboxes(wanted=self.wanted)
        self.assignments = Assignments(self.journal, self.mail, self.say, self.config.claim_minutes)
        self.journal.look()

    @property
    def every(self) -> float:
        """Seconds between two looks."""
        return max(LOOK_SECONDS, *(run.config.poll for run in self.mail.runs), 0.0)

    def look(self) -> None:
        """See what is new in mailboxes and journal; write what was held for long enough.

        Raises:
            OSError: an answer could not be written; it is tried again at the next look.
        """
        with self.lock:
            now = time.monotonic()
            if self._found_at is None or now - self._found_at >= FIND_SECONDS:
                self._found_at = now
                self.mail.serve(self.find())
            self.journal.look()
            self.mail.look()
            self.assignments.release_due(time.time())
            runs = tuple(self.mail.runs)
        for run in runs:
            self.after(run)

    def run(self, renew: Callable[[], None]) -> None:
        """Look again and again until `end`; for a thread of its own.

        Args:
            renew: called at each look.
        """
        while not self._ended.wait(self._pause()):
            renew()
            try:
                self.look()
            except Exception as error:  # noqa: BLE001  the next look may do; a dead thread would not
                self.say(f"the desk could not do all it wanted: {type(error).__name__}: {error}")

    def end(self) -> None:
        """Write what is held back: nobody may be there to do it later."""
        self._ended.set()
        with self.lock:
            try:
                self.assignments.release_due(time.time(), everything=True)
            except OSError as error:
                self.say(f"what is held back stays in {self.journal.folder}: {error}")

    def _pause(self) -> float:
        """Until the next look, or until an answer has been held for long enough."""
        with self.lock:
            due = self.assignments.next_due(time.time())
        return self.every if due is None else min(self.every, max(0.2, due))
