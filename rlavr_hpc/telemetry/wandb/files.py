"""What is in a `.wandb` file, read without wandb: which version can read it back is not promised.

The format is LevelDB's log: blocks of 32 KiB, in them chunks of checksum, length and kind, and a
record is one chunk or several. A record is a protocol buffer, whose field numbers never change.
wandb holds back what does not fill a block, so the file of a process that was killed mostly ends
inside a record.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAGIC = b":W&B"
BEGINNING = 7
"""Bytes before the first chunk."""
BLOCK = 1 << 15
CHUNK = struct.Struct("<IHB")
"""CRC-32 of kind and payload, bytes of payload, kind."""
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4
HISTORY, ARTIFACT, RUN, EXIT = 2, 8, 17, 18
"""Fields of `Record` that say what it is; HISTORY holds a row."""
ITEM, KEY, NESTED_KEY, VALUE = 1, 1, 2, 16
"""Fields of a row, and of an item in it."""
NAME, DIGEST = 5, 6
"""Fields of an artifact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WandbFile:
    """What one attempt has put down for the dashboard."""

    path: Path
    whole: int
    """Bytes up to the end of the last whole record."""
    size: int
    begun: bool
    """It says which run it belongs to, without which it cannot be sent."""
    ended: bool
    """The run was finished or stopped in good order: nothing more will come."""
    last: int | None
    """Internal step of the last row; None without a row."""

    @property
    def cut(self) -> bool:
        """The end of the file is of no use."""
        return self.whole < self.size


def read_wandb_file(path: Path) -> WandbFile:
    """Look through a `.wandb` file; what is behind damage counts as not there.

    Raises:
        OSError: it cannot be read.
    """
    data = path.read_bytes()
    kinds: set[int] = set()
    row, whole = b"", 0
    for end, record in wandb_records(data):
        fields = dict(_fields(record))
        kinds |= fields.keys()
        row, whole = fields.get(HISTORY, row), end
    return WandbFile(
        path=path,
        whole=whole,
        size=len(data),
        begun=RUN in kinds,
        ended=EXIT in kinds,
        last=_step_of(row),
    )


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a `.wandb` file up to its first damage, each with wandb's own `_step`.

    Args:
        path: the file.

    Yields:
        Name -> value; a table is a mapping that names its file below `files/`.

    Raises:
        OSError: it cannot be read.
    """
    for row in _contents(path, HISTORY):
        values: dict[str, Any] = {}
        for number, content in _fields(row):
            if number == ITEM:
                _enter(values, content)
        yield values


def read_artifacts(path: Path) -> Iterator[tuple[str, str]]:
    """(name, digest) of the artifacts of a `.wandb` file, tables included.

    Raises:
        OSError: it cannot be read.
    """
    for artifact in _contents(path, ARTIFACT):
        fields = dict(_fields(artifact))
        yield fields.get(NAME, b"").decode(), fields.get(DIGEST, b"").decode()


def _contents(path: Path, kind: int) -> Iterator[bytes]:
    for _, record in wandb_records(path.read_bytes()):
        yield from (content for number, content in _fields(record) if number == kind)


def _enter(values: dict[str, Any], item: bytes) -> None:
    """Add an item of a row, whose key is one name or the path to it."""
    fields = list(_fields(item))
    keys = [content.decode() for number, content in fields if number in (KEY, NESTED_KEY)]
    for key in keys[:-1]:
        values = values.setdefault(key, {})
    values[keys[-1]] = json.loads(dict(fields)[VALUE])


def wandb_files(run_dir: Path, *, kind: str = "*run-", run_id: str = "*") -> list[Path]:
    """The `.wandb` files of a run folder's attempts, in order of their start.

    Args:
        run_dir: the run's folder.
        kind: "run-" of attempts with a network, "offline-run-" of those without.
        run_id: the run's name on the dashboard.
    """
    found = (run_dir / "wandb").glob(f"{kind}*/run-{run_id}.wandb")
    return sorted(found, key=lambda file: file.parent.name.removeprefix("offline-"))


def wandb_records(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(end, content) of every whole record of a `.wandb` file."""
    if data[:4] != MAGIC:
        return
    record = b""
    for end, kind, payload in _chunks(data):
        record = payload if kind in (FULL, FIRST) else record + payload
        if kind in (FULL, LAST):
            yield end, record


def _chunks(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    at = BEGINNING
    while at + CHUNK.size <= len(data):
        left = BLOCK - at % BLOCK
        if left < CHUNK.size:  # too little for a chunk, so the block's rest is padding
            at += left
            continue
        checksum, size, kind = CHUNK.unpack_from(data, at)
        at += CHUNK.size
        payload = data[at : at + size]
        if kind not in (FULL, FIRST, MIDDLE, LAST) or len(payload) < size:
            return
        if zlib.crc32(payload, zlib.crc32(bytes([kind]))) != checksum:
            return
        at += size
        yield at, kind, payload


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """(number, content) of a protocol buffer's fields that have a length."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        match tag & 7:
            case 0:
                _, at = _varint(message, at)
            case 1:
                at += 8
            case 2:
                size, at = _varint(message, at)
                yield tag >> 3, message[at : at + size]
                at += size
            case 5:
                at += 4
            case _:
                return


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message):
        byte = message[at]
        at, value, shift = at + 1, value | (byte & 0x7F) << shift, shift + 7
        if byte < 0x80:
            break
    return value, at


def _step_of(row: bytes) -> int | None:
    for number, content in _fields(row):
        item = dict(_fields(content)) if number == ITEM else {}
        if item.get(NESTED_KEY) == b"_step":
            return int(json.loads(item[VALUE]))
    return None
