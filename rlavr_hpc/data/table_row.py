"""One row of a file, and how rows are to be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlavr_hpc.config.data import ChoiceRule, ConflictRule, DataConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRow:
    """A row as its file has it."""

    path: Path
    number: int
    """In its file, from 1; of a line where the file has lines."""
    values: Mapping[str, Any]
    count: int = 1
    """So many rows are equal to it but for their ids: large files tell equal rows once."""

    @property
    def where(self) -> str:
        """For errors and findings."""
        return f"{self.path}, row {self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowRules:
    """How rows are read, as far as a config decides it."""

    task: str | None = None
    """How answers are read; None = by each row's `data_source`."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Role -> column, for files that name them in another way."""
    choices: ChoiceRule = ChoiceRule.render
    conflicts: ConflictRule = ConflictRule.drop


def rules_of(config: DataConfig) -> RowRules:
    """The rules of a run."""
    return RowRules(
        task=config.task,
        columns=config.columns.given(),
        choices=config.choices,
        conflicts=config.conflicts,
    )
