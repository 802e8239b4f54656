"""Small data files for tests."""

from __future__ import annotations

import json
from pathlib import Path

from rlavr_hpc.config.data import DataKind
from rlavr_hpc.data.dataset import Dataset
from rlavr_hpc.data.findings import DataFinding
from rlavr_hpc.data.table_row import RowRules
from rlavr_hpc.data.tables import read_dataset


def jsonl(path: Path, *rows: object) -> Path:
    """A file of JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(path: Path, kind: DataKind = DataKind.file, **rules: object) -> Dataset:
    """A file, by its name, under `RowRules` with these fields."""
    return read_dataset(path, kind, rules=RowRules(**rules))  # type: ignore[arg-type]


def read_rows(folder: Path, *rows: object, **rules: object) -> Dataset:
    """Rows as a JSON-lines file has them."""
    return read(jsonl(folder / "rows.jsonl", *rows), DataKind.file, **rules)


def labels(data: Dataset) -> list[str | None]:
    """Of each question, in order."""
    return [data.answers.get(question.id) for question in data.questions]


def finding(data: Dataset, kind: str) -> DataFinding | None:
    """The finding of a kind."""
    return next((one for one in data.findings if one.kind == kind), None)
