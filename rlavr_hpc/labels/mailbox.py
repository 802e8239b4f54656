"""A run's mailbox: orders go out, answers come in, through files that hosts share.

    RUN/labels/orders/N.jsonl          written by attempt N of the run: orders, and withdrawn keys
    RUN/labels/answers/START.jsonl     written by one start of a bridge or a desk
    RUN/labels/sent/START.jsonl        its log of calls: before each one, and after it
    RUN/labels/claims/KEY.N            who makes the N-th call for a key

One writer per file and a new file per start, because appending from two hosts tears lines.
Readers open a file anew at every look and never for writing: on NFS a file that is held open shows
old bytes, and one held open for writing shows NULs.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlavr_hpc.io import LineWriter, make_folder
from rlavr_hpc.labels.orders import Answer, Order, read_answer, read_order

LABELS = "labels"
ORDERS, ANSWERS = f"{LABELS}/orders", f"{LABELS}/answers"
SENT, CLAIMS = f"{LABELS}/sent", f"{LABELS}/claims"
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
        raise ValueError(f"a line of {len(raw)} bytes")
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
    """The one writer of `FOLDER/NAME.jsonl`; the file is made with the first line."""

    folder: Path
    name: str
    _writer: LineWriter | None = None

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write the rows; they are on disk on return.

        Raises:
            OSError: the disk is full or the folder is gone; none of them count.
        """
        rows = list(rows)
        if not rows:
            return
        if self._writer is None:
            make_folder(self.folder)
            self._writer = LineWriter(self.folder / f"{self.name}.jsonl")
        self._writer.append(rows)


@dataclass(slots=True)
class OrdersOut:
    """The run's side of the orders, for one attempt."""

    run_dir: Path
    attempt: int
    placed: set[str] = field(default_factory=set)
    """Keys of all orders in the mailbox, of earlier attempts too."""
    _out: LinesOut = field(init=False)

    def __post_init__(self) -> None:
        """Read what earlier attempts ordered."""
        self._out = LinesOut(self.run_dir / ORDERS, str(self.attempt))
        for _, row in LineFollower(self.run_dir / ORDERS, nul_seconds=0.0).look():
            if isinstance(key := row.get("key"), str):
                self.placed.add(key)

    def place(self, orders: Iterable[Order]) -> None:
        """Put orders into the mailbox; those that are there already stay as they are."""
        new = [order for order in orders if order.key not in self.placed]
        self._out.append(order.to_row() for order in new)
        self.placed |= {order.key for order in new}

    def withdraw(self, keys: Iterable[str]) -> None:
        """Say that these answers are not wanted any more."""
        self._out.append({"key": key, "withdrawn": True} for key in keys)


@dataclass(slots=True)
class OrdersIn:
    """The source's side: all orders of a run."""

    run_dir: Path
    orders: dict[str, Order] = field(default_factory=dict)
    withdrawn: set[str] = field(default_factory=set)
    refused: list[Refused] = field(default_factory=list)
    _lines: LineFollower = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is read yet."""
        self._lines = LineFollower(self.run_dir / ORDERS)

    def look(self) -> list[Order]:
        """Orders that are new since the last look."""
        new = []
        for where, row in self._lines.look():
            if row.get("withdrawn") is True and isinstance(row.get("key"), str):
                self.withdrawn.add(row["key"])
                continue
            try:
                order = read_order(row)
            except ValueError as error:
                self.refused.append(Refused(where=where, why=str(error)))
                continue
            if order.key not in self.orders:
                self.orders[order.key] = order
                new.append(order)
        self.refused += self._lines.refused
        return new


@dataclass(slots=True)
class AnswersIn:
    """All answers in a run's mailbox; both sides read them."""

    run_dir: Path
    first: dict[str, Answer] = field(default_factory=dict)
    """By key, the one that counts."""
    later: dict[str, list[Answer]] = field(default_factory=dict)
    """By key, those that came after it: a correction, or a second bridge's."""
    refused: list[Refused] = field(default_factory=list)
    """Lines that are no answers, of all looks."""
    _lines: LineFollower = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is read yet."""
        self._lines = LineFollower(self.run_dir / ANSWERS)

    @property
    def corrected(self) -> set[str]:
        """Keys whose source has said that its first answer was a mistake."""
        return {key for key, later in self.later.items() if any(one.corrects for one in later)}

    def latest(self, key: str) -> Answer:
        """The last correction of an answer."""
        return [one for one in self.later[key] if one.corrects][-1]

    def look(self) -> list[Answer]:
        """Answers that are new since the last look, in the order of files and lines."""
        new = []
        for where, row in self._lines.look():
            try:
                answer = read_answer(row)
            except ValueError as error:
                self.refused.append(Refused(where=where, why=str(error)))
                continue
            if answer.key in self.first:
                self.later.setdefault(answer.key, []).append(answer)
            else:
                self.first[answer.key] = answer
            new.append(answer)
        self.refused += self._lines.refused
        return new
