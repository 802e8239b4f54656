"""Rows of parquet and Arrow files, a piece of the file at a time: the only importer of pyarrow.

Large files of this field repeat their rows a hundred times. Equal rows of a piece are found in
Arrow's columns, before Python objects are made of them, and told once with their count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from rlavr_hpc.data.table_row import FileRow
from rlavr_hpc.errors import UserError

Codes = npt.NDArray[np.int64]
Needed = Callable[[Sequence[str]], list[str]]
PIECE_ROWS = 1 << 17
PIECE_BYTES = 256 << 20
"""What a piece may hold in memory, as far as it is known beforehand."""
HELD_ROWS = 1 << 18
"""Different rows of several pieces that are compared with each other."""
PYTHON_ROWS = 1 << 12
"""Rows that are Python objects at a time."""
MERGED_FROM = 20_000
"""Rows of a file from which on equal rows are told once; below, each is."""
LONGEST_LIST = 64
"""Lists with more items are not compared."""
ID = "id"
"""Rows that differ in this column alone are equal."""


def parquet_rows(
    path: Path, needed: Needed, *, merged_from: int | None = None
) -> Iterator[FileRow]:
    """The rows of a parquet file, with the columns that `needed` chooses of its own.

    Raises:
        UserError: it is none, or damaged.
    """
    with _explained(path, "parquet"), pq.ParquetFile(path, buffer_size=1 << 20) as file:
        names = needed(file.schema_arrow.names)
        total = file.metadata.num_rows
        size = sum(
            file.metadata.row_group(i).total_byte_size for i in range(file.metadata.num_row_groups)
        )
        rows = max(1, min(PIECE_ROWS, PIECE_BYTES * max(1, total) // max(1, size)))
        batches = file.iter_batches(batch_size=rows, columns=names, use_threads=False)
        merged = total >= (MERGED_FROM if merged_from is None else merged_from)
        yield from _rows(path, batches, names, merged=merged)


def arrow_rows(path: Path, needed: Needed, *, merged_from: int | None = None) -> Iterator[FileRow]:
    """The rows of an Arrow file, in its stream form (`datasets.save_to_disk`) or its file form.

    Raises:
        UserError: it is none, or damaged.
    """
    with _explained(path, "Arrow"), pa.memory_map(str(path)) as source:
        is_file = source.read(6) == b"ARROW1"
        source.seek(0)
        reader = pa.ipc.open_file(source) if is_file else pa.ipc.open_stream(source)
        names = needed(reader.schema.names)
        read = map(reader.get_batch, range(reader.num_record_batches)) if is_file else reader
        least = MERGED_FROM if merged_from is None else merged_from
        merged = path.stat().st_size > least * 100  # their number is not known beforehand
        yield from _rows(path, (batch.select(names) for batch in read), names, merged=merged)


@contextmanager
def _explained(path: Path, kind: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a readable {kind} file: {error}") from error


def _rows(
    path: Path, batches: Iterator[pa.RecordBatch], names: Sequence[str], *, merged: bool
) -> Iterator[FileRow]:
    held = _Held(path=path, names=names)
    start = 1
    for piece in _pieces(batches):
        numbers = np.arange(start, start + piece.num_rows)
        start += piece.num_rows
        kinds = _kinds(piece, names) if merged else None
        if kinds is None or 2 * len(kinds.firsts) > piece.num_rows:  # there is little to gain
            yield from held.told()
            yield from _told(path, piece, numbers, np.ones(piece.num_rows, dtype=np.int64))
            continue
        held.add(piece.take(kinds.firsts), numbers[kinds.firsts], kinds.counts)
        if held.rows >= HELD_ROWS:
            yield from held.told()
    yield from held.told()


@dataclass(slots=True, kw_only=True)
class _Held:
    """Kinds of rows of several pieces, before they are compared with each other."""

    path: Path
    names: Sequence[str]
    tables: list[pa.Table] = field(default_factory=list)
    numbers: list[Codes] = field(default_factory=list)
    counts: list[Codes] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return sum(len(numbers) for numbers in self.numbers)

    def add(self, table: pa.Table, numbers: Codes, counts: Codes) -> None:
        self.tables.append(table)
        self.numbers.append(numbers)
        self.counts.append(counts)

    def told(self) -> Iterator[FileRow]:
        """Everything held, each kind once; nothing is held afterwards."""
        if not self.tables:
            return
        table, numbers = pa.concat_tables(self.tables), np.concatenate(self.numbers)
        counts = np.concatenate(self.counts)
        self.tables, self.numbers, self.counts = [], [], []
        kinds = _kinds(table, self.names)
        sums = np.bincount(kinds.of_row, weights=counts).astype(np.int64)
        yield from _told(self.path, table.take(kinds.firsts), numbers[kinds.firsts], sums)


def _told(path: Path, table: pa.Table, numbers: Codes, counts: Codes) -> Iterator[FileRow]:
    rows = zip(numbers.tolist(), counts.tolist(), _python_rows(table), strict=True)
    for number, count, row in rows:
        yield FileRow(path=path, number=number, values=row, count=count)


def _python_rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    for start in range(0, table.num_rows, PYTHON_ROWS):
        yield from table.slice(start, PYTHON_ROWS).to_pylist()


def _pieces(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Small batches put together."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        rows, size = sum(b.num_rows for b in waiting), sum(b.nbytes for b in waiting)
        if rows >= PIECE_ROWS or size >= PIECE_BYTES:
            yield pa.Table.from_batches(waiting)
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kinds:
    """Which rows are equal."""

    firsts: Codes
    """Place of the first row of each kind, in order."""
    counts: Codes
    of_row: Codes
    """Kind of each row, as an index of `firsts`."""


def _kinds(table: pa.Table, names: Sequence[str]) -> _Kinds:
    codes = np.zeros(table.num_rows, dtype=np.int64)
    for number, name in enumerate(names):
        if name != ID:
            codes = _joined(codes, _codes_of_column(table.column(number)))
    _, firsts, kind, counts = np.unique(
        codes, return_index=True, return_inverse=True, return_counts=True
    )
    order = np.argsort(firsts)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return _Kinds(firsts=firsts[order], counts=counts[order], of_row=place[kind])


def _codes_of_column(column: pa.ChunkedArray) -> Codes:
    whole = column.combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        if whole.num_chunks != 1:
            return np.arange(len(whole))
        whole = whole.chunk(0)
    return _codes(whole)


def _codes(values: pa.Array) -> Codes:
    """A number per row, the same for equal values; all different where they cannot be compared."""
    kind = values.type
    if pa.types.is_null(kind):
        return np.zeros(len(values), dtype=np.int64)
    if pa.types.is_dictionary(kind):
        return _codes(values.dictionary_decode())
    if pa.types.is_struct(kind):
        codes = _nulls(values)
        for inner in values.flatten():
            codes = _joined(codes, _codes(inner))
        return codes
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _codes_of_lists(values)
    try:
        indices = values.dictionary_encode(null_encoding="encode").indices
    except pa.ArrowNotImplementedError:
        return np.arange(len(values))
    return np.asarray(indices, dtype=np.int64)


def _codes_of_lists(values: pa.Array) -> Codes:
    lengths = np.asarray(values.value_lengths().fill_null(0), dtype=np.int64)
    longest = int(lengths.max(initial=0))
    if longest > LONGEST_LIST:
        return np.arange(len(values))
    inner = _codes(values.flatten())  # without what null lists hide
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)
    codes = _joined(_nulls(values), lengths)
    for place in range(longest):
        here = lengths > place
        item = np.full(len(values), -1, dtype=np.int64)
        item[here] = inner[starts[here] + place]
        codes = _joined(codes, item)
    return codes


def _nulls(values: pa.Array) -> Codes:
    return np.asarray(values.is_null(), dtype=np.int64)


def _joined(first: Codes, second: Codes) -> Codes:
    """A number per pair, the same for equal pairs, from 0 without gaps."""
    low = int(second.min(initial=0))
    width = int(second.max(initial=0)) - low + 1
    _, codes = np.unique(first * width + (second - low), return_inverse=True)
    return np.asarray(codes, dtype=np.int64)
