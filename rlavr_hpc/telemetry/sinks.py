"""The record of metrics: one JSON line per step, always on. Dashboards are mirrors of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from rlavr_hpc.errors import ExitCode, RlavrError
from rlavr_hpc.io import LineWriter, make_folder
from rlavr_hpc.runs.attempts import accepted_lines, forks, read_attempts, segment
from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.examples.record import Example
from rlavr_hpc.telemetry.outcome import RunOutcome
from rlavr_hpc.telemetry.reduce import Mean, as_row
from rlavr_hpc.types import StepKey

VERSION = 1
FOLDER = "metrics"


class MetricsMirror(Protocol):
    """A dashboard that shows an attempt's rows; no call raises or waits, but for `close`."""

    def write(self, step_key: StepKey, values: Mapping[str, float]) -> None:
        """Mirror a row that is in the record."""

    def show(self, examples: Sequence[Example]) -> None:
        """Mirror a step's examples that are in the record; their row comes next."""

    def close(self, code: ExitCode, outcome: Callable[[], RunOutcome] = RunOutcome) -> None:
        """Say how the attempt ended, and wait a limited time until all rows are out."""


class MetricsFile:
    """The writer of one attempt's segment."""

    def __init__(self, run_dir: Path, attempt: int, *, fence: Callable[[], None]) -> None:
        """Open a new segment; `fence` raises when a newer attempt owns the folder."""
        make_folder(run_dir / FOLDER)
        self._attempt, self._fence = attempt, fence
        self._writer = LineWriter(segment(run_dir, FOLDER, attempt))

    def write(self, step_key: StepKey, metrics: Mapping[str, Mean]) -> dict[str, float]:
        """Append a step's row and return its values."""
        self._fence()
        values = as_row(metrics)
        row: dict[str, Any] = {
            "v": VERSION,
            "step": step_key.step,
            "branch": step_key.branch,
            "attempt": self._attempt,
            "time": time.time(),
            **values,
        }
        try:
            self._writer.append([row])
        except OSError as error:
            raise RlavrError(
                f"{self._writer.path}: cannot be written ({error.strerror}); make room and start "
                "the same command again"
            ) from error
        return values


def read_metrics(run_dir: Path, *, only: str | None = None) -> list[dict[str, Any]]:
    """One row per (branch, step), from the highest accepted attempt that wrote it, in order.

    Args:
        run_dir: the run's folder.
        only: keep this metric alone, besides branch and step; a long run's rows fill gigabytes.

    Raises:
        RlavrError: the record is damaged.
    """
    rows: dict[tuple[int, int], dict[str, Any]] = {}
    try:
        for _, path, line in accepted_lines(run_dir, FOLDER):
            if line.row.get("v") != VERSION:
                raise RlavrError(f"{path}:{line.number}: unknown version {line.row.get('v')!r}")
            branch, step = line.row["branch"], line.row["step"]
            if type(branch) is not int or type(step) is not int:
                raise RlavrError(f"{path}:{line.number}: branch {branch!r}, step {step!r}")
            row = {names.RENAMED.get(name, name): value for name, value in line.row.items()}
            rows[branch, step] = row if only is None else _narrow(row, only)
    except (ValueError, KeyError) as error:
        raise RlavrError(f"the metrics are damaged: {error}") from error
    return [rows[key] for key in sorted(rows)]


def _narrow(row: Mapping[str, Any], metric: str) -> dict[str, Any]:
    return {name: row[name] for name in ("branch", "step", metric) if name in row}


def read_line(run_dir: Path, *, until: int | None = None) -> list[dict[str, Any]]:
    """The rows that the run has behind it: one per step, without what was rolled back.

    Args:
        run_dir: the run's folder.
        until: the last step wanted.

    Raises:
        RlavrError: the record is damaged.
    """
    begun = forks(read_attempts(run_dir))

    def stays(row: Mapping[str, Any]) -> bool:
        later = (step for branch, step in begun.items() if branch > row["branch"])
        return all(row["step"] <= step for step in later)

    by_step = {row["step"]: row for row in read_metrics(run_dir) if stays(row)}
    return [by_step[step] for step in sorted(by_step) if until is None or step <= until]


def steps_left_behind(run_dir: Path) -> int:
    """Steps on record that the run did and rolled back; their labels count as spent.

    Raises:
        RlavrError: the record is damaged.
    """
    done = [row for row in read_metrics(run_dir, only=names.LABELS_BOUGHT) if row["step"] > 0]
    return len(done) - len([row for row in read_line(run_dir) if row["step"] > 0])
