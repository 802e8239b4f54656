"""Durable files: append a line, replace a file, publish a file exactly once, read lines back.

Knows bytes and JSON, no record types. Every function returns only after the data is on disk
("durable before visible"); a failed append is cut off again, so that it can never half count.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from rlavr_hpc.errors import RlavrError

FOLDER_MODE = 0o750
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)
_BLOCK = 1 << 20


def canonical_json(value: object) -> str:
    """One ASCII text per value: sorted keys, no spaces, no NaN (raises ValueError)."""
    return _CANONICAL.encode(value)


def make_folder(path: Path) -> Path:
    """Create `path` and its missing parents with mode 0750; an existing folder is left alone."""
    missing = [p for p in (path, *path.parents) if not p.exists()]
    for folder in reversed(missing):
        try:
            folder.mkdir(mode=FOLDER_MODE)
        except FileExistsError:
            continue  # made by another process a moment ago
        folder.chmod(FOLDER_MODE)
    path.mkdir(exist_ok=True)
    return path


def sync_folder(path: Path) -> None:
    """Flush a folder's entries, so that a file just created or renamed in it survives a crash."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Flush a file that somebody else has written."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class LineWriter:
    r"""The only writer of one JSON-lines file: one `os.write` and one fsync per batch of rows."""

    def __init__(self, path: Path, *, keep: int | None = None) -> None:
        """Create the file, which must not exist: a segment has one writer for its whole life.

        Args:
            path: the file.
            keep: continue a file of one's own instead, behind this many bytes; what follows them,
                a torn line, is cut off. The caller sees to it that nobody else writes.
        """
        flags = os.O_WRONLY | os.O_APPEND | (os.O_CREAT | os.O_EXCL if keep is None else 0)
        self.path = path
        self._descriptor = os.open(path, flags, 0o640)
        self._length = keep or 0
        os.ftruncate(self._descriptor, self._length)
        sync_folder(path.parent)

    def append(self, rows: Iterable[Mapping[str, Any]], *, durable: bool = True) -> None:
        """Write `rows`, one line each; all of them are on disk on return, or none count.

        Args:
            rows: what to write.
            durable: False skips the fsync, for records that can be lost with the machine.

        Raises:
            OSError: the disk is full or gone; what was written of the batch is cut off again.
        """
        data = "".join(canonical_json(row) + "\n" for row in rows).encode()
        try:
            self._write_all(data)
            if durable:
                os.fsync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, self._length)
            raise
        self._length += len(data)

    def is_in_place(self) -> bool:
        """Whether the file still stands at its path; what is written to a deleted one is lost."""
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self._descriptor))
        except FileNotFoundError:
            return False

    def close(self) -> None:
        """Write nothing more."""
        os.close(self._descriptor)

    def _write_all(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLine:
    """One line of a JSON-lines file."""

    number: int
    """Counted from 1."""
    end: int
    """Byte offset behind its line break."""
    row: dict[str, Any]
    raw: bytes
    """As it stands in the file, without its line break."""


def read_lines(path: Path, *, limit: int | None = None) -> Iterator[ReadLine]:
    r"""The complete lines of a JSON-lines file; a last line without `\n` was torn and is left out.

    Args:
        path: the file; a missing one has no lines.
        limit: read only this many bytes from its start.

    Raises:
        ValueError: a complete line is not a JSON object; the message names file and line.
    """
    end = 0
    for number, raw in enumerate(_raw_lines(path), start=1):
        end += len(raw) + 1
        if limit is not None and end > limit:
            return
        try:
            row = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path}:{number}: not a JSON line ({error})") from error
        if not isinstance(row, dict):
            raise ValueError(f"{path}:{number}: a JSON object was expected")
        yield ReadLine(number=number, end=end, row=row, raw=raw)


def _raw_lines(path: Path) -> Iterator[bytes]:
    if not path.exists():
        return
    with path.open("rb") as file:
        for raw in file:
            if not raw.endswith(b"\n"):
                return  # its writer may end the line meanwhile; the rest of it is no line
            yield raw[:-1]


def blocks(path: Path, *, limit: int | None = None) -> Iterator[bytes]:
    """A file's bytes in pieces of at most 1 MiB, `limit` bytes at most; a missing one has none."""
    if not path.exists():
        return
    left = path.stat().st_size if limit is None else limit
    with path.open("rb") as file:
        while block := file.read(min(_BLOCK, left)):
            left -= len(block)
            yield block


def write_atomic(path: Path, text: str) -> None:
    """Replace `path` by a file holding `text`; a reader sees the old or the new one, never half."""
    with replacing(path) as file:
        file.write(text)


def write_record(path: Path, version: int, values: Mapping[str, Any]) -> None:
    """Replace `path` by a small JSON file for programs and people, with its format's version."""
    write_atomic(path, json.dumps({"version": version, **values}, indent=1) + "\n")


def read_record(path: Path, version: int) -> dict[str, Any]:
    """The values that `write_record` wrote.

    Raises:
        RlavrError: the file is missing, damaged, or of another version.
    """
    try:
        values: dict[str, Any] = json.loads(path.read_text())
        found = values.pop("version")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RlavrError(f"{path} cannot be used: {error!r}") from error
    if found != version:
        raise RlavrError(f"{path}: version {found!r} is not {version}, the one known here")
    return values


@contextmanager
def replacing(path: Path) -> Iterator[IO[str]]:
    """A text file that takes the place of `path` when the block ends well, and is gone otherwise.

    Raises:
        OSError: the folder does not exist or cannot be written.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        os.fchmod(descriptor, 0o640)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def publish_once(path: Path, text: str) -> bool:
    """Create `path` with `text`, unless it exists; True for the one process that made it.

    Linking a finished file is exclusive on NFS and Lustre too, where O_EXCL may lie.
    """
    temporary = _write_temporary(path, text)
    try:
        os.link(temporary, path)
    except FileExistsError:
        return path.read_text() == text  # NFS may report our own link as a stranger's
    finally:
        temporary.unlink()
    sync_folder(path.parent)
    return True


def _write_temporary(path: Path, text: str) -> Path:
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        os.fchmod(descriptor, 0o640)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)
