"""What was found in the data that a user should know, each with its rows and the way out."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class FindingLevel(StrEnum):
    """What a finding does to a run."""

    note = "note"
    """It is told."""
    warning = "warning"
    """It is told, counted and kept on record: it is wrong for some rows."""
    error = "error"
    """It ends the run before the first step, exit code 2: it is wrong for all rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFinding:
    """One sentence about the data."""

    kind: str
    """Short name, snake_case, the same in every run: `void_label`, `conflicting_labels`, ..."""
    level: FindingLevel
    text: str
    """What was found, in how many of how many rows, and what to type to change it."""
    count: int = 0
    """Rows that it concerns."""
    rows: tuple[str, ...] = ()
    """The first of them by name, `FILE, row N`; at most `NAMED`."""


NAMED = 5
"""Rows that a finding names."""
LOG_LEVELS = {
    FindingLevel.note: logging.INFO,
    FindingLevel.warning: logging.WARNING,
    FindingLevel.error: logging.ERROR,
}


def log_findings(findings: Iterable[DataFinding], log: logging.Logger) -> None:
    """One line each, as loud as its level."""
    for finding in findings:
        log.log(LOG_LEVELS[finding.level], "%s", finding.text)
