"""Where the desk of a folder runs, and that there is one of them at a time.

    DIR/.desk/desk.json      where the desk runs, or ran last
    DIR/.desk/seats/N        who is, or was, the N-th desk of the folder; made by link()

Of two desks that start at once, one gets the next seat. A desk that was taken for ended, since its
host was silent, and comes back finds that the next seat is taken: it gives nothing out any more.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rlavr_hpc.errors import UserError
from rlavr_hpc.io import publish_once, write_atomic
from rlavr_hpc.runs.process import ProcessIdentity, is_alive, this_process

PLACE, SEATS = "desk.json", "seats"
SILENT_SECONDS = 180.0
"""So long after its last sign of life, a desk on another host is taken for ended."""
NAMES = ("host", "pid", "start_ticks", "boot_id")


@dataclass(slots=True)
class DeskPlace:
    """Where the desk of a folder runs."""

    folder: Path
    address: str
    """Of the page, as its links begin."""
    port: int = 0
    _me: ProcessIdentity = field(default_factory=this_process)
    _seat: int = 0

    @property
    def superseded(self) -> bool:
        """Whether another desk of the folder was started since this one was."""
        return (self.folder / SEATS / str(self._seat + 1)).exists()

    @property
    def _path(self) -> Path:
        return self.folder / PLACE

    def take(self) -> None:
        """Say that the desk runs here.

        Raises:
            UserError: a desk of the folder runs already, or this one cannot be put on record.
        """
        seats = self.folder / SEATS
        try:
            seats.mkdir(mode=0o700, exist_ok=True)
            seat = _newest(seats) + 1  # before anybody is asked: who starts later wants another one
            refuse_second(self.folder)
            if not claim_seat(seats / str(seat), self._me):
                raise UserError(f"another desk of {self.folder.parent} has just been started")
            self._seat = seat
            self._write(ended=False)
        except OSError as error:
            raise UserError(f"{self._path} cannot be written: {error.strerror}") from error

    def renew(self) -> None:
        """A sign of life, for other hosts."""
        if not self.superseded:
            with suppress(OSError):
                os.utime(self._path)

    def leave(self) -> None:
        """Say that it has ended."""
        if not self.superseded:
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
        process = ProcessIdentity(**{name: row[name] for name in NAMES})
        running = not row["ended"] and _lives(process, seen_at)
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
    path = folder / SEATS / str(_newest(folder / SEATS))
    with suppress(OSError, ValueError, KeyError, TypeError):
        row = json.loads(path.read_text())
        process = ProcessIdentity(**{name: row[name] for name in NAMES})
        if (last is None or process != last.process) and _lives(process, path.stat().st_mtime):
            raise UserError(
                f"another desk of {folder.parent} is just being started (host {process.host}, "
                f"process {process.pid})"
            )


def claim_seat(path: Path, process: ProcessIdentity) -> bool:
    """Whether this caller, of all that want the seat, has got it."""
    return publish_once(path, json.dumps({**asdict(process), "at": time.time()}))


def _newest(seats: Path) -> int:
    """The number of the last seat; 0 = there is none."""
    names = [path.name for path in seats.iterdir()] if seats.is_dir() else []
    return max((int(name) for name in names if name.isascii() and name.isdigit()), default=0)


def _lives(process: ProcessIdentity, seen_at: float) -> bool:
    lives = is_alive(process, seen_at=None)
    return time.time() - seen_at < SILENT_SECONDS if lives is None else lives
