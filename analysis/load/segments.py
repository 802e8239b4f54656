"""The lines of a run's record, one segment per attempt, read as far as they can be read.

The commands of `rlavr_hpc` refuse a damaged record; an analysis of many runs says what is damaged
and goes on with the rest.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from analysis.load.run import Problem, readable
from rlavr_hpc.errors import RlavrError
from rlavr_hpc.runs.attempts import Attempt, read_attempts, seal_on, segment

SEGMENT = re.compile(r"([1-9][0-9]{0,8})\.jsonl")
LARGEST = 1 << 40
"""No step or branch comes near it."""


@dataclass(slots=True)
class Notes:
    """Collects what is wrong in one folder."""

    problems: list[Problem] = field(default_factory=list)

    def add(self, path: Path, text: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(path=readable(path), text=readable(text)))


def attempts_of(folder: Path, notes: Notes) -> tuple[Attempt, ...]:
    """The run's attempts; none when their tokens cannot be used."""
    try:
        return tuple(read_attempts(folder))
    except (RlavrError, OSError) as error:
        notes.add(folder / "attempts", f"{error}; every line of the record is taken as it stands")
        return ()


def segments(
    folder: Path, kind: str, attempts: Sequence[Attempt], notes: Notes
) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """(attempt, its lines that count) of `metrics` or `ledger`, attempts in order.

    Args:
        folder: the run's folder.
        kind: the folder in it.
        attempts: the run's; empty = they cannot be used, and whole segments are taken.
        notes: gets what is damaged, foreign or missing.
    """
    there = _numbers(folder / kind, notes)
    if attempts:
        for number in sorted(there - {attempt.number for attempt in attempts}):
            notes.add(
                segment(folder, kind, number), f"there is no attempts/{number}.json; left out"
            )
    for number in [attempt.number for attempt in attempts] or sorted(there):
        path = segment(folder, kind, number)
        data = _accepted_bytes(path, kind, number, attempts, notes) if number in there else b""
        if data:
            yield number, _parse(data, path, notes)
        elif number not in there and _is_sealed_long(kind, number, attempts):
            notes.add(path, "is missing, although the next attempt has sealed lines of it")


def _numbers(folder: Path, notes: Notes) -> set[int]:
    found: set[int] = set()
    for path in files_of(folder, notes):
        if match := SEGMENT.fullmatch(path.name):
            found.add(int(match[1]))
        else:
            notes.add(path, "is not one of a run's files; left out")
    return found


def files_of(folder: Path, notes: Notes) -> list[Path]:
    """What a folder of a run's holds, but for files being written; nothing when it is missing."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except FileNotFoundError:
        return []
    except OSError as error:
        notes.add(folder, f"cannot be read: {error.strerror}")
        return []


def _is_sealed_long(kind: str, number: int, attempts: Sequence[Attempt]) -> bool:
    try:
        seal = seal_on(attempts, number, kind) if attempts else None
    except RlavrError:
        return False
    return seal is not None and seal.size > 0


def _accepted_bytes(
    path: Path, kind: str, number: int, attempts: Sequence[Attempt], notes: Notes
) -> bytes:
    """The segment up to its seal, or all its whole lines."""
    try:
        data = path.read_bytes()
        seal = seal_on(attempts, number, kind) if attempts else None
    except (OSError, RlavrError) as error:
        notes.add(path, f"cannot be used: {error}")
        return b""
    if seal is not None:
        data = data[: seal.size]
        if len(data) < seal.size:
            notes.add(
                path, f"{seal.size} bytes were sealed, {len(data)} are there: it was cut short"
            )
        elif hashlib.sha256(data).hexdigest() != seal.sha256:
            notes.add(path, "was changed after the next attempt sealed it; used all the same")
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        notes.add(path, "the last line is torn, its writer was killed or is writing; left out")
    return whole


def _parse(data: bytes, path: Path, notes: Notes) -> list[dict[str, Any]]:
    """The lines that are rows; all at once where all are, which is several times as fast."""
    lines = data.split(b"\n")[:-1]
    try:
        rows = orjson.loads(b"[%b]" % b",".join(lines))
    except orjson.JSONDecodeError:
        rows = []
    if len(rows) == len(lines) and all(map(_is_row, rows)):
        return list(rows)
    return list(_parse_each(lines, path, notes))


def _parse_each(lines: Sequence[bytes], path: Path, notes: Notes) -> Iterator[dict[str, Any]]:
    bad: list[int] = []
    for number, raw in enumerate(lines, start=1):
        try:
            row = orjson.loads(raw)
        except orjson.JSONDecodeError:
            bad.append(number)
            continue
        if _is_row(row):
            yield row
        else:
            bad.append(number)
    if bad:
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        notes.add(path, f"line {bad[0]}{more} cannot be read; left out")


def _is_row(row: object) -> bool:
    return isinstance(row, dict) and _is_count(row.get("step")) and _is_count(row.get("branch", 0))


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < LARGEST
