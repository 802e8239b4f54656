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

from analysis.findings import Condition, Contrast, Findings, Interval, RunFindings
from analysis.report.files import folder, replaced
from rlavr_hpc.io import write_atomic

VERSION = 1
"""Format of `summary.json`."""

TEXT, WHOLE, REAL, TRUTH = pa.string(), pa.int64(), pa.float64(), pa.bool_()
Row = dict[str, Any]


class TableRow(Protocol):
    """Any dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


RUNS = pa.schema(
    {
        "run": TEXT,
        "folder": TEXT,
        "arm": TEXT,
        "sweep": TEXT,
        "policy": TEXT,
        "budget": REAL,
        "budget_effective": REAL,
        "seed": WHOLE,
        "state": TEXT,
        "steps": WHOLE,
        "steps_planned": WHOLE,
        "uses_oracle": TRUTH,
        "settings": TEXT,
        "collapsed": TRUTH,
        "onset": WHOLE,
        "defined_onset": WHOLE,
        "measured_by": TEXT,
        "kind": TEXT,
        "loss": REAL,
        "told": WHOLE,
        "lead": WHOLE,
        "warned": WHOLE,
        "verdict": TEXT,
        "labels": WHOLE,
        "labels_void": WHOLE,
        "cost": REAL,
        "labels_left_behind": WHOLE,
        "accuracy_start": REAL,
        "accuracy_end": REAL,
        "area": REAL,
        "labels_to_target": REAL,
        "wasted": REAL,
        "hopeless": REAL,
        "oracle_recall": REAL,
        "starts": WHOLE,
        "preemptions": WHOLE,
        "crashes": WHOLE,
        "rollbacks": WHOLE,
        "steps_redone": WHOLE,
        "seconds_lost": REAL,
        "steps_left_behind": WHOLE,
        "seconds_running": REAL,
        "seconds_waiting": REAL,
        "seconds_per_step": REAL,
        "tokens_per_second": REAL,
        "device_hours": REAL,
        "device": TEXT,
        "memory_gib": REAL,
        "problems": WHOLE,
    }
)
ARMS = pa.schema(
    {
        "rank": WHOLE,
        "arm": TEXT,
        "policy": TEXT,
        "budget": REAL,
        "settings": TEXT,
        "runs": WHOLE,
        "finished": WHOLE,
        "judged": WHOLE,
        "collapsed": WHOLE,
        "uses_oracle": TRUTH,
        "on_frontier": TRUTH,
        **{
            f"{name}{end}": REAL
            for name in ("labels", "accuracy", "area")
            for end in ("", "_low", "_high")
        },
    }
)
CONTRASTS = pa.schema(
    {
        "better": TEXT,
        "worse": TEXT,
        "difference": REAL,
        "difference_low": REAL,
        "difference_high": REAL,
        "seeds": WHOLE,
        "paired": TRUTH,
        "p_value": REAL,
        "p_adjusted": REAL,
        "sure": TRUTH,
    }
)
SIGNS = pa.schema(
    {
        "run": TEXT,
        "rank": WHOLE,
        "signal": TEXT,
        "label_free": TRUTH,
        "step": WHOLE,
        "told": WHOLE,
        "before": REAL,
        "after": REAL,
        "words": TEXT,
    }
)


def image(record: TableRow) -> Row:
    """A record as dicts, lists, texts and finite numbers; NaN and infinities become None."""
    return {field.name: plain(getattr(record, field.name)) for field in fields(record)}


def plain(value: object) -> object:
    """The same of any value."""
    if is_dataclass(value) and not isinstance(value, type):
        return image(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def write_summary(findings: Findings, path: Path) -> None:
    """Everything in one JSON file, a run a line, behind the format's version.

    `rlavr_hpc.io.read_record` reads it. `program` is the version of what made the report, which the
    format's version would hide. It is not indented: a thousand runs would take ten times as long.
    """
    whole = image(findings)
    runs, program = whole.pop("runs"), whole.pop("version")
    head = json.dumps({"version": VERSION, "program": program, **whole}, allow_nan=False)
    lines = ",\n".join(json.dumps(run, allow_nan=False) for run in runs)
    write_atomic(path, f'{head[:-1]},\n"runs": [\n{lines}\n]}}\n')


def write_tables(findings: Findings, path: Path) -> tuple[Path, ...]:
    """runs, arms, contrasts and signs as CSV and Parquet below `path`; returns the files."""
    comparison = findings.comparison
    tables = {
        "runs": (RUNS, [_run(run) for run in findings.runs]),
        "arms": (ARMS, [_arm(rank, arm) for rank, arm in enumerate(comparison.arms, start=1)]),
        "contrasts": (CONTRASTS, [_contrast(contrast) for contrast in comparison.contrasts]),
        "signs": (SIGNS, [row for run in findings.runs for row in _signs(run)]),
    }
    written: list[Path] = []
    for name, (schema, rows) in tables.items():
        written += _write(folder(path) / name, schema, rows)
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


def _write(stem: Path, schema: pa.Schema, rows: Sequence[Row]) -> list[Path]:
    table = pa.Table.from_pylist(
        [{k: plain(v) for k, v in row.items()} for row in rows], schema=schema
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
    row = {
        name: getattr(part, name) for part in parts for name in RUNS.names if hasattr(part, name)
    }
    return row | {
        "run": run.name,
        "settings": json.dumps(dict(run.settings), sort_keys=True),
        "verdict": run.verdict.words,
        "problems": len(run.problems),
    }


def _arm(rank: int, arm: Condition) -> Row:
    row = {name: getattr(arm, name) for name in ARMS.names if hasattr(arm, name)}
    for name in ("labels", "accuracy", "area"):
        row |= _interval(name, getattr(arm, name))
    settings = json.dumps(dict(arm.settings), sort_keys=True)
    return row | {"rank": rank, "arm": arm.name, "runs": len(arm.runs), "settings": settings}


def _contrast(contrast: Contrast) -> Row:
    row = {name: getattr(contrast, name) for name in CONTRASTS.names if hasattr(contrast, name)}
    return row | _interval("difference", contrast.difference) | {"seeds": contrast.difference.count}


def _interval(name: str, found: Interval | None) -> Row:
    if found is None:
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"))
    return {name: found.mean, f"{name}_low": found.low, f"{name}_high": found.high}


def _signs(run: RunFindings) -> list[Row]:
    return [
        {"run": run.name, "rank": rank}
        | {name: getattr(sign, name) for name in SIGNS.names if hasattr(sign, name)}
        for rank, sign in enumerate(run.verdict.signs, start=1)
    ]
