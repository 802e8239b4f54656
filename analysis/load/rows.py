"""A run's rows of metrics as data frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from analysis.load.purchases import on_line
from analysis.load.segments import Notes, segments
from rlavr_hpc.runs.attempts import Attempt
from rlavr_hpc.telemetry import names

METRICS_VERSION = 1
KEYS = ("step", "branch", "attempt", "time")
WRITTEN = ["attempt", "branch", "step", "time", names.TIME_STEP]
"""Columns of `RunData.written`."""


def read_rows(
    folder: Path, attempts: Sequence[Attempt], notes: Notes
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The run's rows of metrics.

    Args:
        folder: the run's folder.
        attempts: the run's; empty = they cannot be used.
        notes: gets what is damaged, foreign or missing.

    Returns:
        `RunData.rows` and `RunData.written`.
    """
    parts: list[pd.DataFrame] = []
    for number, lines in segments(folder, "metrics", attempts, notes):
        known = [row for row in lines if row.get("v") == METRICS_VERSION]
        if len(known) < len(lines):
            where = folder / "metrics" / f"{number}.jsonl"
            notes.add(where, f"{len(lines) - len(known)} lines of an unknown version; left out")
        if known:
            frame = pd.DataFrame(known).rename(columns=names.RENAMED)
            part = _numeric(frame, folder / "metrics" / f"{number}.jsonl", notes)
            part["attempt"] = number
            parts.append(part)
    if not parts:
        return no_rows(), pd.DataFrame(columns=WRITTEN)
    rows = pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0]
    rows = rows.astype({"step": "int64", "branch": "int64"})
    twice = int(rows.duplicated(["attempt", "branch", "step"]).sum())
    if twice:
        notes.add(folder / "metrics", f"{twice} steps stand twice in one attempt; the last counts")
    written = rows.reindex(columns=WRITTEN)
    counted = rows.drop_duplicates(["branch", "step"], keep="last")
    stays = on_line(counted["branch"], counted["step"], attempts)
    line = counted[stays].sort_values(["step", "branch"]).drop_duplicates("step", keep="last")
    return line.set_index("step").drop(columns="v", errors="ignore"), written


def no_rows() -> pd.DataFrame:
    """`RunData.rows` of a run that has none."""
    return pd.DataFrame(columns=["branch", "attempt", "time"], index=pd.Index([], name="step"))


def _numeric(frame: pd.DataFrame, path: Path, notes: Notes) -> pd.DataFrame:
    """Metrics as float64; what is no number becomes NaN and is noted."""
    if "branch" not in frame:
        frame["branch"] = 0
        notes.add(path, "its rows name no branch; taken as the first")
    strange = [c for c in frame.columns if "/" not in c and c not in (*KEYS, "v")]
    if strange:
        notes.add(path, f"{', '.join(strange)} is no metric's name; left out")
        frame = frame.drop(columns=strange)
    for column in [c for c in frame.columns if not is_numeric_dtype(frame[c])]:
        numbers = pd.to_numeric(frame[column], errors="coerce").astype("float64")
        lost = int((numbers.isna() & frame[column].notna()).sum())
        if lost:
            notes.add(path, f"{lost} values of {column} are no numbers; left out")
        frame[column] = numbers
    if frame["branch"].isna().any():
        frame["branch"] = frame["branch"].fillna(0)
    floats = [c for c in frame.columns if c not in (*KEYS, "v") and frame[c].dtype != np.float64]
    return frame.astype(dict.fromkeys(floats, "float64")) if floats else frame
