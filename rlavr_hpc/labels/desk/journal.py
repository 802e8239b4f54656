"""The desk's own record, beside the runs: who signed in, who was given what, what is held back.

    DIR/.desk/journal/START.jsonl      written by one start of the desk, or of its command line
    DIR/.desk/desk.json                where the desk runs, or ran last

All that the desk knows is the runs' mailboxes and these lines; it may be killed at any of them.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rlavr_hpc.errors import UserError
from rlavr_hpc.io import sync_folder, write_atomic
from rlavr_hpc.labels.line_files import LineFollower, LinesOut
from rlavr_hpc.runs.process import ProcessIdentity, is_alive, this_process

DESK = ".desk"
PLACE = "desk.json"
SILENT_SECONDS = 180.0
"""So long after its last sign of life, a desk on another host is taken for ended."""


@dataclass(slots=True)
class DeskJournal:
    """One process's writer, and its view of everybody's lines."""

    folder: Path
    """DIR/.desk; only its owner may look into it."""
    start: str
    readers: list[Callable[[Mapping[str, Any]], None]] = field(default_factory=list)
    """Each is given every line once, its own process's too: what is known is what was written."""
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
        self._out.append([{**row, "at": time.time()}])
        self.look()

    def look(self) -> None:
        """Give the readers the lines that are new, in the order of starts."""
        for _, row in self._in.look():
            for take_in in self.readers:
                with suppress(KeyError, TypeError, ValueError):  # no line of ours
                    take_in(row)


@dataclass(slots=True)
class DeskPlace:
    """Where the desk of a folder runs."""

    folder: Path
    address: str
    """Of the page, as its links begin."""
    port: int = 0
    _me: ProcessIdentity = field(default_factory=this_process)

    @property
    def _path(self) -> Path:
        return self.folder / PLACE

    def take(self) -> None:
        """Say that the desk runs here.

        Raises:
            UserError: it cannot be written.
        """
        try:
            self._write(ended=False)
        except OSError as error:
            raise UserError(f"{self._path} cannot be written: {error.strerror}") from error

    def renew(self) -> None:
        """A sign of life, for other hosts."""
        with suppress(OSError):
            os.utime(self._path)

    def leave(self) -> None:
        """Say that it has ended."""
        with suppress(OSError):
            self._write(ended=True)

    def _write(self, *, ended: bool) -> None:
        row = {**asdict(self._me), "address": self.address, "port": self.port, "ended": ended}
        write_atomic(self._path, json.dumps(row) + "\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class LastDesk:
    """What is known of the desk that was started last."""

    address: str
    port: int
    process: ProcessIdentity
    running: bool


def last_desk(folder: Path) -> LastDesk | None:
    """The desk of this folder that was started last; None = there was none."""
    path = folder / PLACE
    try:
        row = json.loads(path.read_text())
        seen_at = path.stat().st_mtime
        names = ("host", "pid", "start_ticks", "boot_id")
        process = ProcessIdentity(**{name: row[name] for name in names})
        lives = is_alive(process, seen_at=None)
        recent = time.time() - seen_at < SILENT_SECONDS
        running = not row["ended"] and (recent if lives is None else lives)
        return LastDesk(
            address=str(row["address"]), port=int(row["port"]), process=process, running=running
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def refuse_second(folder: Path) -> None:
    """Raise UserError where a desk of this folder runs; two would ask people the same."""
    last = last_desk(folder)
    if last is not None and last.running:
        raise UserError(
            f"the desk of {folder.parent} runs already, at {last.address} (host "
            f"{last.process.host}, process {last.process.pid}); end that one first"
        )
