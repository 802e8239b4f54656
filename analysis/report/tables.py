"""The report for programs: CSV and Parquet tables, and everything in `summary.json`."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import Field, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, Protocol

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.report.files import folder, replaced
from analysis.report.table_columns import CONDITIONS, CONTRASTS, RUNS, SIGNALS, Columns
from analysis.run_findings import RunFindings
from analysis.study_findings import Condition, Contrast, Findings, Interval
from rlavr_hpc.io import write_atomic

VERSION = 2
"""Format of `summary.json`. Version 2 has `condition` for `arm`, `detected` for `told`, `text` and
`recommendation` for `words`, `signals` for `signs`, `significant` for `sure`, `vote_right` for
`wasted`, `none_correct` for `hopeless`, and other names of `Standing`."""

Row = dict[str, Any]
TEXT, WHOLE, REAL = pa.string(), pa.int64(), pa.float64()
ARROW = {str: TEXT, int: WHOLE, float: REAL, bool: pa.bool_()}


class TableRow(Protocol):
    """Any dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


def to_json(record: TableRow) -> Row:
    """A record as dicts, lists, texts and finite numbers; NaN and infinities become None."""
    return {field.name: json_value(getattr(record, field.name)) for field in fields(record)}


def json_value(value: object) -> object:
    """The same of any value."""
    if is_dataclass(value) and not isinstance(value, type):
        return to_json(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): json_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_value(item) for item in value]
    return value


def write_summary(findings: Findings, path: Path) -> None:
    """Everything in one JSON file, a run a line, behind the format's version.

    `rlavr_hpc.io.read_record` reads it. `program` is the version of what made the report, which the
    format's version would hide. It is not indented: a thousand runs would take ten times as long.
    """
    whole = to_json(findings)
    runs, program = whole.pop("runs"), whole.pop("version")
    head = json.dumps({"version": VERSION, "program": program, **whole}, allow_nan=False)
    lines = ",\n".join(json.dumps(run, allow_nan=False) for run in runs)
    write_atomic(path, f'{head[:-1]},\n"runs": [\n{lines}\n]}}\n')


def write_tables(findings: Findings, path: Path) -> tuple[Path, ...]:
    """Write runs, conditions, contrasts and signals as CSV and Parquet; returns the files."""
    comparison = findings.comparison
    tables = {
        "runs": (RUNS, [_run(run) for run in findings.runs]),
        "conditions": (
            CONDITIONS,
            [
                _condition(rank, condition)
                for rank, condition in enumerate(comparison.conditions, start=1)
            ],
        ),
        "contrasts": (CONTRASTS, [_contrast(contrast) for contrast in comparison.contrasts]),
        "signals": (SIGNALS, [row for run in findings.runs for row in _signals(run)]),
    }
    written: list[Path] = []
    for name, (columns, rows) in tables.items():
        written += _write(folder(path) / name, columns, rows)
    return tuple(written)


def write_steps(frames: Mapping[str, pd.DataFrame], path: Path) -> None:
    """Every run's rows in one Parquet file, a row group per run.

    Args:
        frames: by run name; index `step`, columns as in `Run.rows`. A column that a
            run lacks is empty there.
        path: the file.
    """
    whole = ("step", "attempt", "branch")
    columns = sorted({c for frame in frames.values() for c in frame.columns} - set(whole))
    schema = pa.schema(
        {"run": pa.dictionary(pa.int32(), TEXT), **dict.fromkeys(whole, WHOLE)}
        | dict.fromkeys(columns, REAL)
    )
    with (
        replaced(path) as temporary,
        pq.ParquetWriter(
            temporary, schema, compression="zstd", use_dictionary=["run"], write_statistics=False
        ) as writer,
    ):
        for name, frame in frames.items():
            writer.write_table(_steps(name, frame, schema))


def _steps(name: str, frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    count = len(frame)
    made = {"run": pa.array([name] * count, TEXT).dictionary_encode(), "step": frame.index}
    arrays = [
        made["run"]
        if field.name == "run"
        else pa.nulls(count, field.type)
        if field.name not in made and field.name not in frame.columns
        else pa.array(made.get(field.name, frame.get(field.name)), field.type, safe=False)
        for field in schema
    ]
    return pa.table(arrays, schema=schema)


def _write(stem: Path, columns: Columns, rows: Sequence[Row]) -> list[Path]:
    schema = pa.schema({name: ARROW[kind] for name, kind in columns.items()})
    table = pa.Table.from_pylist(
        [{k: json_value(v) for k, v in row.items()} for row in rows], schema=schema
    )
    text, binary = stem.with_suffix(".csv"), stem.with_suffix(".parquet")
    with replaced(text) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, schema.names)
        writer.writeheader()
        writer.writerows(table.to_pylist())
    with replaced(binary) as temporary:
        pq.write_table(table, temporary)
    return [text, binary]


def _run(run: RunFindings) -> Row:
    parts = [run, run.verdict, run.spending, run.health]
    row = {name: getattr(part, name) for part in parts for name in RUNS if hasattr(part, name)}
    return row | {
        "run": run.name,
        "settings": json.dumps(dict(run.settings), sort_keys=True),
        "verdict": run.verdict.text,
        "problems": len(run.problems),
    }


def _condition(rank: int, condition: Condition) -> Row:
    row = {name: getattr(condition, name) for name in CONDITIONS if hasattr(condition, name)}
    for name in ("labels", "start", "accuracy", "area"):
        row |= _interval(name, getattr(condition, name))
    settings = json.dumps(dict(condition.settings), sort_keys=True)
    return row | {
        "rank": rank,
        "condition": condition.name,
        "runs": len(condition.runs),
        "settings": settings,
    }


def _contrast(contrast: Contrast) -> Row:
    row = {name: getattr(contrast, name) for name in CONTRASTS if hasattr(contrast, name)}
    return row | _interval("difference", contrast.difference) | {"seeds": contrast.difference.count}


def _interval(name: str, found: Interval | None) -> Row:
    if found is None:
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"))
    return {name: found.mean, f"{name}_low": found.low, f"{name}_high": found.high}


def _signals(run: RunFindings) -> list[Row]:
    return [
        {"run": run.name, "rank": rank}
        | {name: getattr(change, name) for name in SIGNALS if hasattr(change, name)}
        for rank, change in enumerate(run.verdict.signals, start=1)
    ]
