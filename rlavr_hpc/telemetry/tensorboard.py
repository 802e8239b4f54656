"""The record as TensorBoard's event files, written without it: its own writers load torch.

A file is a sequence of TFRecords (length, checksum, content, checksum); the content is a protocol
buffer `Event`, whose field numbers never change.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rlavr_hpc.errors import UserError
from rlavr_hpc.io import make_folder
from rlavr_hpc.telemetry.wandb.rows import FOR_RECORD_ONLY

FACTS = (*FOR_RECORD_ONLY, "step", "branch", "attempt")
NAME = "events.out.tfevents.{time:010d}.rlavr_hpc"
WALL_TIME, STEP, FILE_VERSION, SUMMARY = 1, 2, 3, 5
"""Fields of `Event`."""
VALUE = 1
"""Field of `Summary`."""
TAG, SIMPLE_VALUE = 1, 2
"""Fields of a value."""
MASK = 0xA282EAD8
CASTAGNOLI = 0x82F63B78


def write_events(folder: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write rows of metrics as scalars, at their own steps and times.

    Args:
        folder: for the file; it must hold none yet, for TensorBoard shows all it finds there.
        rows: of the steps that a run has behind it.

    Returns:
        How many rows were written.

    Raises:
        UserError: there is no row, or the folder holds events already.
    """
    given = list(rows)
    if not given:
        raise UserError(f"no row of metrics is on record for {folder}; nothing to show")
    if folder.is_dir() and any(folder.glob("events.out.*")):
        raise UserError(f"{folder} holds events already; choose another folder or delete them")
    begun = float(given[0]["time"])
    events = [_double(WALL_TIME, begun) + _bytes(FILE_VERSION, b"brain.Event:2")]
    events += map(_event, given)
    path = make_folder(folder) / NAME.format(time=int(begun))
    path.write_bytes(b"".join(map(_framed, events)))
    return len(given)


def _event(row: Mapping[str, Any]) -> bytes:
    values = b"".join(
        _bytes(VALUE, _bytes(TAG, name.encode()) + _float(SIMPLE_VALUE, float(value)))
        for name, value in row.items()
        if name not in FACTS
    )
    step = _varint(STEP << 3) + _varint(row["step"])
    return _double(WALL_TIME, float(row["time"])) + step + _bytes(SUMMARY, values)


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _double(field: int, value: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", value)


def _float(field: int, value: float) -> bytes:
    return _varint(field << 3 | 5) + struct.pack("<f", value)


def _varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def _framed(content: bytes) -> bytes:
    length = struct.pack("<Q", len(content))
    return length + _checksum(length) + content + _checksum(content)


def _table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (CASTAGNOLI if byte & 1 else 0)
        table.append(byte)
    return table


_TABLE = _table()


def _checksum(data: bytes) -> bytes:
    """CRC-32C, masked as TFRecord has it: rotated, and a constant added."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + MASK) & 0xFFFFFFFF)
