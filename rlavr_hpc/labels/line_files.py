"""Folders of JSON-lines files with one writer each, read while others write.

Appending to one file from two hosts tears lines, so a writer makes a new file at every start.
Readers open a file anew at every look and never for writing: on NFS a file that is held open shows
old bytes, and one held open for writing shows NULs.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlavr_hpc.io import LineWriter, make_folder

log = logging.getLogger(__name__)
NUL_SECONDS = 120.0
"""So long a line with NULs may still be filled in by its writer."""
MAX_LINE = 1 << 20
"""Bytes of a line that is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A line that does not count."""

    where: str
    """File and number of the line."""
    why: str


@dataclass(slots=True, kw_only=True)
class _Place:
    """How far a file was read."""

    offset: int = 0
    line: int = 0
    nul_since: float | None = None


@dataclass(slots=True)
class LineFollower:
    """What is new in the files of a folder: each look continues behind the last.

    What is torn, or has NULs where another host's bytes will be, is left for the next look.
    """

    folder: Path
    refused: list[Refused] = field(default_factory=list)
    """Of the last look."""
    nul_seconds: float = NUL_SECONDS
    _places: dict[str, _Place] = field(default_factory=dict)

    def look(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """New lines as (place, row), by file name and line; others are in `refused`."""
        self.refused = []
        try:
            names = sorted(os.listdir(self.folder))  # noqa: PTH208 - faster than Path
        except OSError:
            return
        for name in names:
            if name.endswith(".jsonl") and not name.startswith("."):
                yield from self._of_file(name)

    def _of_file(self, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
        place = self._places.setdefault(name, _Place())
        try:
            with (self.folder / name).open("rb") as file:
                file.seek(place.offset)
                data = file.read()
        except OSError:
            return
        for raw in data.splitlines(keepends=True):
            if not raw.endswith(b"\n") or self._unfilled(raw, place):
                return
            place.offset += len(raw)
            place.line += 1
            where = f"{self.folder.name}/{name}:{place.line}"
            try:
                yield where, read_row(raw)
            except ValueError as error:
                self.refused.append(Refused(where=where, why=str(error)))

    def _unfilled(self, raw: bytes, place: _Place) -> bool:
        """Whether the line has NULs and its writer has not had its time to fill them."""
        if b"\0" not in raw:
            place.nul_since = None
            return False
        now = time.monotonic()
        place.nul_since = now if place.nul_since is None else place.nul_since
        if now - place.nul_since < self.nul_seconds:
            return True
        place.nul_since = None
        return False


def read_row(raw: bytes) -> dict[str, Any]:
    """A line as a JSON object; ValueError says what else it is, and quotes nothing of it."""
    if len(raw) > MAX_LINE:
        raise ValueError(f"a line of {len(raw)} bytes, and at most {MAX_LINE} are read")
    if b"\0" in raw:
        raise ValueError("NUL bytes")
    try:
        row = json.loads(raw)
    except (ValueError, RecursionError):
        raise ValueError("not JSON") from None
    if not isinstance(row, dict):
        raise ValueError("not a JSON object")
    return row


def start_name() -> str:
    """The name of a writer's start; names sort by time."""
    host = "".join(c if c.isalnum() or c == "-" else "_" for c in socket.gethostname())
    return f"{time.time_ns():020d}-{host}-{os.getpid()}"


@dataclass(slots=True)
class LinesOut:
    """The one writer of `FOLDER/NAME.jsonl`, or of `NAME_2.jsonl` where the first is another's.

    The file is made with the first line. When it is deleted, its lines are written anew, under the
    next name: readers know how far they have read a file by its name.
    """

    folder: Path
    name: str
    tell: Callable[[str], None] = log.warning
    """Takes a line about a file that was deleted."""
    _writer: LineWriter | None = None
    _files: int = 0
    """Names that were taken, or found taken."""
    _written: list[Mapping[str, Any]] = field(default_factory=list)

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write the rows; they are on disk on return.

        Raises:
            OSError: the disk is full or the folder is gone; none of them count.
        """
        rows = list(rows)
        if not rows:
            return
        self.restore()
        if self._writer is None:
            make_folder(self.folder)
            self._writer = self._new_file()
        self._writer.append(rows)
        self._written += rows

    def restore(self) -> None:
        """Write all lines again, where their file was deleted.

        Raises:
            OSError: they cannot be written, or the folder above is gone too, as of a run that was
                deleted.
        """
        if self._writer is None or self._writer.is_in_place():
            return
        lost, count = self._writer.path, len(self._written)
        self.folder.mkdir(exist_ok=True)
        writer = self._new_file()
        writer.append(self._written)
        self._writer.close()
        self._writer = writer
        lines = f"{count} line{'s' * (count != 1)}"
        self.tell(f"{lost} WAS DELETED while it was written; its {lines} stand in {writer.path}")

    def _new_file(self) -> LineWriter:
        while True:
            self._files += 1
            name = self.name if self._files == 1 else f"{self.name}_{self._files}"
            try:
                return LineWriter(self.folder / f"{name}.jsonl")
            except FileExistsError:  # of another writer of this process
                continue
