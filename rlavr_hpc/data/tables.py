"""Reads the files that `data.path` names: each distinct prompt once, its label, and what was found.

A row that cannot be used is left out, counted and named; where no row can, the first one's error
ends the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rlavr_hpc.config.data import ConflictRule, DataKind
from rlavr_hpc.data.arrow_rows import arrow_rows, parquet_rows
from rlavr_hpc.data.columns import SOLUTION, Columns
from rlavr_hpc.data.containers import FileFormat, data_files_of
from rlavr_hpc.data.dataset import Dataset
from rlavr_hpc.data.findings import DataFinding, FindingLevel
from rlavr_hpc.data.option_numbers import NumberRow, decide
from rlavr_hpc.data.row_findings import RowCounts
from rlavr_hpc.data.row_labels import NO_OPTION, label_keys
from rlavr_hpc.data.row_tasks import RowTasks
from rlavr_hpc.data.rows import ReadRow, RefusedChoicesError, read_row
from rlavr_hpc.data.table_row import FileRow, RowRules
from rlavr_hpc.data.text_rows import csv_rows, json_rows
from rlavr_hpc.errors import UserError
from rlavr_hpc.types import Question


def read_dataset(
    path: Path, kind: DataKind, *, task: str | None = None, rules: RowRules | None = None
) -> Dataset:
    """Read one file or folder.

    Args:
        path: where it is.
        kind: what it is.
        task: how answers are read; None = by each row's `data_source`.
        rules: how rows are read, instead of `task` alone.

    Raises:
        UserError: the file is missing, empty, broken or of another kind, no row can be used, an id
            stands twice, a column of `data.columns` is not there, or the rules refuse what is.
    """
    return read_together([path], kind, rules=rules or RowRules(task=task))[0]


def read_together(paths: Sequence[Path], kind: DataKind, *, rules: RowRules) -> list[Dataset]:
    """Read files of one data set: whether numbers are places, and of what, all of them decide.

    Raises:
        UserError: as `read_dataset`.
    """
    readings = [_read(path, kind, rules) for path in paths]
    decide([row for reading in readings for row in reading.numbers])
    return [reading.finish() for reading in readings]


def _read(path: Path, kind: DataKind, rules: RowRules) -> _Reading:
    found = data_files_of(path, kind)
    reading = _Reading(path=path, rules=rules, left_out=found.note)
    for file, format in found.files:
        columns = Columns(path=file, given=rules.columns)
        reading.files.append(columns)
        for row in _rows_of(file, format, columns):
            reading.add(row, columns)
        columns.check_found()
    return reading


def _rows_of(file: Path, format: FileFormat, columns: Columns) -> Iterator[FileRow]:
    def needed(names: Sequence[str]) -> list[str]:
        columns.check_known(names)
        return columns.needed(names)

    readers: dict[FileFormat, Callable[[], Iterator[FileRow]]] = {
        FileFormat.parquet: lambda: parquet_rows(file, needed),
        FileFormat.arrow: lambda: arrow_rows(file, needed),
        FileFormat.json: lambda: json_rows(file),
        FileFormat.csv: lambda: csv_rows(file),
    }
    return readers[format]()


@dataclass(slots=True, kw_only=True)
class _Labelled:
    """The label of one prompt so far."""

    text: str
    where: str
    keys: frozenset[object]
    others: dict[str, str] = field(default_factory=dict)
    """Labels that differ from it, and where the first of each stands."""
    count: int = 0
    """Rows of this prompt that have a label."""


@dataclass(slots=True, kw_only=True)
class _Reading:
    """What the rows have come to so far."""

    path: Path
    rules: RowRules
    left_out: str
    """Files of the folder that are not read; "" = none."""
    questions: dict[str, Question] = field(default_factory=dict)
    labels: dict[str, _Labelled] = field(default_factory=dict)
    first_with_body: dict[bytes, str] = field(default_factory=dict)
    numbers: list[NumberRow] = field(default_factory=list)
    """Rows whose label all rows together decide."""
    counts: RowCounts = field(default_factory=RowCounts)
    files: list[Columns] = field(default_factory=list)
    tasks: RowTasks = field(default_factory=RowTasks)
    first_fault: str = ""

    def add(self, row: FileRow, columns: Columns) -> None:
        """Take one row in."""
        self.counts.rows += row.count
        columns.see(row.values)
        try:
            read = read_row(row, columns, self.rules)
        except RefusedChoicesError:
            raise
        except UserError as error:
            self.first_fault = self.first_fault or str(error)
            self.counts.note("unusable_rows", row, detail=str(error))
            return
        name = self._question(read, row)
        self._note(read, row)
        if read.label.numbers:
            labels = read.label.numbers
            self.numbers.append(NumberRow(name, row.where, row.count, labels))
        elif read.label.text:
            self._label(name, read.label.text, row.where, row.count)

    def _question(self, read: ReadRow, row: FileRow) -> str:
        """The id that the row's prompt goes by: one prompt, so that no label is paid for twice."""
        known = self.first_with_body.get(read.body)
        if known is not None:
            self.counts.repeated += row.count
            return known
        self.counts.repeated += row.count - 1
        name = read.question.id
        if name in self.questions:
            raise UserError(f"{row.where}: id {name!r} stands in an earlier row too")
        self.first_with_body[read.body] = name
        self.questions[name] = read.question
        return name

    def _note(self, read: ReadRow, row: FileRow) -> None:
        label = read.label
        self.tasks.saw(read.sorted_to, label.text or None, count=row.count)
        if label.fault:
            self.counts.note("unreadable_labels", row, detail=label.fault)
        elif label.void is not None:
            self.counts.note("void_labels", row, detail=label.void)
        if label.alone and (label.text or label.numbers):
            self.counts.note("objects_of_one_value", row)
        if label.worked:
            self.counts.note("worked_solutions", row)
        if read.rendered:
            self.counts.note("rendered_choices", row)

    def _label(self, name: str, text: str, where: str, count: int) -> None:
        known = self.labels.get(name)
        if known is None:
            keys = label_keys(text)
            self.labels[name] = _Labelled(text=text, where=where, keys=keys, count=count)
            return
        known.count += count
        if text != known.text and text not in known.others and not known.keys & label_keys(text):
            known.others[text] = where

    def finish(self) -> Dataset:
        """The data set, after the last row and `decide`.

        Raises:
            UserError: no row can be used, or labels conflict and must not.
        """
        if not self.questions:
            raise UserError(self.first_fault or f"data file {self.path} holds no rows")
        for row in self.numbers:
            self._letters(row)
        conflicts = {name: one for name, one in self.labels.items() if one.others}
        self._refuse_conflicts(conflicts)
        answers = {name: label.text for name, label in self.labels.items() if name not in conflicts}
        if not any({"answer", SOLUTION} & {*one.found, *one.seen} for one in self.files):
            self.counts.without_answers(self.files[0])
        order = {name: answers[name] for name in self.questions if name in answers}
        return Dataset(
            questions=tuple(self.questions.values()),
            answers=order if self.numbers else answers,
            findings=(
                *self._split(),
                *self.counts.findings(self.path, labelled=len(answers)),
                *self.tasks.findings(self.path),
            ),
        )

    def _split(self) -> tuple[DataFinding, ...]:
        if not self.left_out:
            return ()
        return (DataFinding(kind="split", level=FindingLevel.note, text=self.left_out),)

    def _letters(self, row: NumberRow) -> None:
        """Take in what the files have decided about one row."""
        if not all(row.letters):
            self.counts.note_at("unreadable_labels", row.where, row.count, detail=NO_OPTION)
            return
        text = ", ".join(sorted(dict.fromkeys(row.letters)))
        self._label(row.name, text, row.where, row.count)
        if any(row.undecided):
            self.counts.note_at("undecided_places", row.where, row.count)

    def _refuse_conflicts(self, conflicts: dict[str, _Labelled]) -> None:
        """Note them by their rows; a label that nobody bought stands in no message."""
        for one in conflicts.values():
            places = [one.where, *one.others.values()]
            other = places[1].removeprefix(f"{self.path}, ")
            if self.rules.conflicts is ConflictRule.error:
                raise UserError(
                    f"labels of one prompt differ in {len(conflicts)} prompts, first in "
                    f"{one.where} and {other}; "
                    "correct the file, or data.conflicts=drop drops both labels"
                )
            first = one.where.removeprefix(f"{self.path}, ")
            self.counts.conflict(places, one.count, example=f"{first} and {other}, for one")
