"""The desk's own record, beside the runs: who signed in, who was given what, what is held back.

    DIR/.desk/journal/START.jsonl      written by one start of the desk, or of its command line

All that the desk knows is the runs' mailboxes and these lines; it may be killed at any of them.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlavr_hpc.errors import UserError
from rlavr_hpc.io import sync_folder
from rlavr_hpc.labels.line_files import LineFollower, LinesOut

DESK = ".desk"


@dataclass(slots=True)
class DeskJournal:
    """One process's writer, and its view of everybody's lines."""

    folder: Path
    """DIR/.desk; only its owner may look into it."""
    start: str
    readers: list[Callable[[Mapping[str, Any]], None]] = field(default_factory=list)
    """Each is given every line once, its own process's too: what is known is what was written."""
    superseded: Callable[[], bool] = lambda: False
    """Whether another desk has taken over: then nothing more is written."""
    _out: LinesOut = field(init=False)
    _in: LineFollower = field(init=False)

    def __post_init__(self) -> None:
        """Make the folder.

        Raises:
            UserError: it cannot be made, or others can write into it.
        """
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
            self.folder.chmod(0o700)
            sync_folder(self.folder.parent)
        except OSError as error:
            raise UserError(
                f"{self.folder} cannot be made and kept to yourself: {error.strerror}"
            ) from error
        self._out = LinesOut(self.folder / "journal", self.start)
        self._in = LineFollower(self.folder / "journal", nul_seconds=0.0)

    def note(self, **row: object) -> None:
        """Add a line, on disk on return, and known to all readers.

        Raises:
            OSError: it is not on disk, and nobody knows it.
        """
        if self.superseded():
            raise OSError(errno.EPERM, "another desk of this folder has taken over")
        self._out.append([{**row, "at": time.time()}])
        self.look()

    def look(self) -> None:
        """Give the readers the lines that are new, in the order of starts."""
        for _, row in self._in.look():
            for take_in in self.readers:
                with suppress(KeyError, TypeError, ValueError):  # no line of ours
                    take_in(row)
