"""Rows of JSON and CSV files, a line at a time, also of ones packed with gzip."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from rlavr_hpc.data.table_row import FileRow
from rlavr_hpc.errors import UserError
from rlavr_hpc.labels.text import json_integer

GZIP = b"\x1f\x8b"
DELIMITERS = ",;\t|"
LONGEST_FIELD = 1 << 28
"""Characters of one field of a CSV file."""


def json_rows(path: Path) -> Iterator[FileRow]:
    """The rows of JSON lines, of one JSON list, or of an object that holds one list of rows.

    Raises:
        UserError: it is no JSON, or a row is no object; names the line.
    """
    with _opened(path) as file:
        start = _first_character(file)
        file.seek(0)
        if start == "[":
            rows: Iterator[tuple[int, Any]] = enumerate(_parse(file.read(), path, 1), start=1)
        else:
            rows = _json_lines(file, path)
        for number, row in rows:
            if not isinstance(row, dict):
                raise UserError(f"{path}, row {number}: a JSON object was expected")
            yield FileRow(path=path, number=number, values=row)


def _first_character(file: IO[str]) -> str:
    for line in file:
        if line.strip():
            return line.lstrip()[0]
    return ""


def _json_lines(file: IO[str], path: Path) -> Iterator[tuple[int, Any]]:
    lines: Iterator[tuple[int, str]] = (
        (n, line) for n, line in enumerate(file, start=1) if line.strip()
    )
    first = next(lines, None)
    if first is None:
        return
    second = next(lines, None)
    try:
        row = _parse(first[1], path, first[0])
    except UserError:
        file.seek(0)
        whole = _whole_object(file.read())
        if whole is None:
            raise
        row, second, lines = whole, None, iter(())
    inner = _list_inside(row) if second is None else None
    if inner is not None:
        yield from enumerate(inner, start=1)
        return
    yield first[0], row
    for number, line in itertools.chain([second] if second else [], lines):
        yield number, _parse(line, path, number)


def _whole_object(text: str) -> Any:  # noqa: ANN401
    """A file that is one object over several lines; None where it is not."""
    try:
        return json.loads(text, parse_int=json_integer)
    except (ValueError, RecursionError):
        return None


def _list_inside(row: object) -> list[Any] | None:
    """The rows of `{"data": [{...}, ...]}`, whatever the key is; None for a row."""
    if not isinstance(row, dict):
        return None
    lists = [
        value
        for value in row.values()
        if isinstance(value, list) and value and all(isinstance(one, dict) for one in value)
    ]
    keys = {"prompt", "problem", "question"} & row.keys()
    return lists[0] if len(lists) == 1 and not keys else None


def _parse(text: str, path: Path, number: int) -> Any:  # noqa: ANN401
    try:
        return json.loads(text, parse_int=json_integer)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path}, line {number + error.lineno - 1}: not JSON: {error.msg}"
        ) from error
    except RecursionError as error:
        raise UserError(f"{path}, line {number}: JSON nested too deeply") from error


def csv_rows(path: Path) -> Iterator[FileRow]:
    """The rows below the header of a CSV file; its delimiter is told from the header.

    Empty fields are None. Rows are counted without the header.

    Raises:
        UserError: the header names a column twice, or a row has more fields than the header.
    """
    csv.field_size_limit(LONGEST_FIELD)
    with _opened(path, newline="") as file:
        header = file.readline()
        file.seek(0)
        reader = csv.DictReader(file, delimiter=_delimiter(path, header), strict=True)
        try:
            names = [name.strip() for name in reader.fieldnames or ()]
            double = next((name for name in names if names.count(name) > 1), None)
            if double is not None:
                raise UserError(f"{path}: its header names column {double!r} twice")
            reader.fieldnames = names
            for number, row in enumerate(reader, start=1):
                if None in row:
                    raise UserError(
                        f"{path}, row {number}: more fields than the header has; put fields that "
                        "hold the delimiter in quotes"
                    )
                values = {name: value or None for name, value in row.items()}
                yield FileRow(path=path, number=number, values=values)
        except csv.Error as error:
            raise UserError(f"{path}, line {reader.line_num}: not CSV: {error}") from error


def _delimiter(path: Path, header: str) -> str:
    if path.name.removesuffix(".gz").endswith(".tsv"):
        return "\t"
    return max(DELIMITERS, key=header.count)  # the first of them where there is none


@contextmanager
def _opened(path: Path, *, newline: str = "\n") -> Iterator[IO[str]]:
    """The text of a file, unpacked; a line of JSON ends with a line feed and nothing else."""
    with path.open("rb") as raw:
        packed = raw.read(2) == GZIP
        raw.seek(0)
        unpacked: Any = gzip.GzipFile(fileobj=raw) if packed else raw
        with io.TextIOWrapper(unpacked, encoding="utf-8-sig", newline=newline) as file:
            try:
                yield file
            except UnicodeDecodeError as error:
                raise UserError(f"{path} is not UTF-8 text: {error}") from error
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise UserError(f"{path} is a damaged gzip file: {error}") from error
