"""What stands in a run's segments and does not count: late lines, torn ends, files of no attempt.

A process that was stopped between its fence check and its write adds lines behind the seal that
its successor put on the segment. They never count, but money may have been spent for them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from rlavr_hpc.io import blocks
from rlavr_hpc.runs.attempts import SEALED, Attempt, read_attempts, seal_on, segment


class UncountedReason(StrEnum):
    """Why bytes do not count."""

    late = "late"
    """Behind the seal: a superseded process wrote them."""
    torn = "torn"
    """A last line without a line break: the process died in the middle of it."""
    foreign = "foreign"
    """A file of no attempt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UncountedLines:
    """The bytes of one file that do not count."""

    file: str
    """Relative to the run's folder."""
    why: UncountedReason
    size: int
    """Bytes."""
    lines: int
    """Complete ones."""
    labels: int
    """Purchases among these lines."""
    cost: float

    def __str__(self) -> str:
        """A sentence for a report."""
        held = f"{self.lines} lines"
        if self.labels:
            held += f", {self.labels} labels for {self.cost:g}"
        if self.why is UncountedReason.late:
            return (
                f"{self.file}: orphans: {held} behind the seal, by a process that was superseded; "
                "they do not count, but may have been paid for"
            )
        if self.why is UncountedReason.torn:
            return f"{self.file}: its last line is torn, {self.size} bytes are dropped"
        return f"{self.file}: foreign: no token in attempts/ names it; not counted: {held}"


def uncounted_lines(run_dir: Path) -> list[UncountedLines]:
    """What does not count in any of the folders that attempts write, in order.

    Raises:
        RlavrError: a token is damaged.
        OSError: a file cannot be read.
    """
    attempts = read_attempts(run_dir)
    return [found for folder in SEALED for found in _of_folder(run_dir, folder, attempts)]


def _of_folder(run_dir: Path, folder: str, attempts: list[Attempt]) -> Iterator[UncountedLines]:
    known = [segment(run_dir, folder, attempt.number) for attempt in attempts]
    for attempt, path in zip(attempts, known, strict=True):
        seal = seal_on(attempts, attempt.number, folder)
        if rest := _from(path, seal.size) if seal else _torn(path):
            yield _uncounted(
                path, rest, UncountedReason.late if b"\n" in rest else UncountedReason.torn
            )
    there = (run_dir / folder).iterdir() if (run_dir / folder).is_dir() else ()
    for path in sorted(set(there) - set(known)):
        if path.is_file() and not path.name.startswith("."):
            yield _uncounted(path, path.read_bytes(), UncountedReason.foreign)


def _from(path: Path, start: int) -> bytes:
    if not path.exists():
        return b""
    with path.open("rb") as file:
        file.seek(start)
        return file.read()


def _torn(path: Path) -> bytes:
    """What stands behind the last line break."""
    rest = b""
    for block in blocks(path):
        rest = (rest + block).rpartition(b"\n")[2]
    return rest


def _uncounted(path: Path, data: bytes, why: UncountedReason) -> UncountedLines:
    raw = data.split(b"\n")[:-1]
    bought = [row for row in map(_row, raw) if row.get("kind") in ("commit", "settled", "audited")]
    return UncountedLines(
        file=f"{path.parent.name}/{path.name}",
        why=why,
        size=len(data),
        lines=len(raw),
        labels=len(bought),
        cost=sum(_cost(row) for row in bought),
    )


def _row(raw: bytes) -> Mapping[str, Any]:
    """The line as a JSON object; whatever else it is, it holds no purchase."""
    try:
        row = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return row if isinstance(row, dict) else {}


def _cost(row: Mapping[str, Any]) -> float:
    cost = row.get("cost")
    return cost if isinstance(cost, float) or (type(cost) is int and abs(cost) < 2**53) else 0.0
