"""Sorts the rows of a file into tasks, and says which went where and why."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from rlavr_hpc.data.findings import DataFinding, FindingLevel
from rlavr_hpc.data.source_names import NOT_READ, TASK_OF_SOURCE, short_name
from rlavr_hpc.errors import UserError
from rlavr_hpc.labels.text import accepted_answers

DEFAULT = "math"
"""Of rows that name no source."""
SHOWN = 5
"""Sources that a sentence names; the others are counted."""
MAX_SHOWN_CHARS = 60
MAX_CHECKED = 2000
"""Labels of a source that nobody knows, looked at to tell whether they are mathematics."""
MAX_VALUE_CHARS = 300
WAY_OUT = (
    "say how their answers are read with data.task=math (or choice, knights, text), write a task "
    "of your own (task=NAME), or leave these rows out"
)
COMMAND = re.compile(r"\\(?:text|textbf|mathrm|mbox|operatorname)\s*\{[^{}]*\}|\\[A-Za-z]+")
NUMBER = re.compile(r"[-+]?[0-9][0-9.,]*")
WORD = re.compile(r"[^\W\d_]{2,}")
NOT_PROSE = "yes no true false sin cos tan cot sec csc log ln exp sqrt pi inf mod"
"""Words that are mathematics, or answers to it."""
MAX_UNIT_WORDS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RowTask:
    """The task of a row, and why it is that one."""

    task: str
    why: str
    source: str = ""
    """The row's `data_source`."""
    known: bool = True
    """False for a source that no table knows: its labels decide whether `task` can be right."""


@lru_cache(maxsize=4096)
def row_task(source: str, *, named: str | None, has_choices: bool) -> RowTask:
    """The task of a row.

    Args:
        source: its `data_source`; "" = it has none.
        named: the task that the config names for all rows; None = it names none.
        has_choices: whether the row brings the options of a multiple choice.
    """
    if named:
        return RowTask(task=named, why="named by the config")
    name = short_name(source)
    if name in TASK_OF_SOURCE:
        why = f"data_source {_shown(source)}"
        return RowTask(task=TASK_OF_SOURCE[name], why=why, source=source)
    if has_choices:
        return RowTask(task="choice", why="they have choices")
    if not source:
        return RowTask(task=DEFAULT, why="the default: they name no data_source")
    why = f"unknown data_source {_shown(source)}"
    return RowTask(task=DEFAULT, why=why, source=source, known=False)


@dataclass(slots=True, kw_only=True)
class _Seen:
    """What was seen of the rows of one `RowTask`."""

    rows: int = 0
    checked: int = 0
    values: int = 0
    """Of the checked labels, those that read as mathematics."""


@dataclass(slots=True)
class RowTasks:
    """Counts rows by task: call `saw` for each of them, then `findings`."""

    _seen: dict[RowTask, _Seen] = field(default_factory=dict)

    def saw(self, row: RowTask, label: str | None, *, count: int = 1) -> None:
        """Count a row.

        Args:
            row: what `row_task` said of it.
            label: its answer; None = it has none.
            count: rows that are equal to it, with it.
        """
        seen = self._seen.setdefault(row, _Seen())
        seen.rows += count
        if label is not None and not row.known and seen.checked < MAX_CHECKED:
            seen.checked += 1
            seen.values += is_value(label)

    def findings(self, path: object) -> tuple[DataFinding, ...]:
        """What went where, for the user.

        Args:
            path: the file.

        Raises:
            UserError: rows of a source that no task reads.
        """
        self._refuse(path)
        told = [_tasks_finding(path, {row: seen.rows for row, seen in self._seen.items()})]
        strangers = {row.source: seen.rows for row, seen in self._seen.items() if not row.known}
        if strangers:
            rows = sum(strangers.values())
            text = (
                f"{path}: data_source {_listed(map(_shown, strangers))} of {rows} rows is no known "
                f"name; their labels read as mathematics, so task {DEFAULT} reads the answers; "
                "data.task=math says so without this warning"
            )
            level = FindingLevel.warning
            told.append(DataFinding(kind="unknown_source", level=level, text=text, count=rows))
        return tuple(told)

    def _refuse(self, path: object) -> None:
        lines = []
        for row, seen in self._seen.items():
            reason = None if row.known else NOT_READ.get(short_name(row.source))
            if not row.known and reason is None and 2 * seen.values < seen.checked:
                reason = "no known name, and its labels do not read as mathematics"
            if reason is not None:
                lines.append(f"{_shown(row.source)} ({seen.rows} rows: {reason})")
        if lines:
            raise UserError(
                f"{path}: no task reads the answers of data_source {', '.join(lines)}; {WAY_OUT}"
            )


def is_value(label: str) -> bool:
    """Whether a label reads as mathematics: a number, a formula, with a unit at most; or a yes.

    A worked solution does where it ends in `#### 45` or has a box.
    """
    return any(map(_is_value, accepted_answers(label)))


def _is_value(text: str) -> bool:
    text = text.rpartition("####")[2].strip()
    if "\\boxed{" in text or NUMBER.fullmatch(text):
        return True
    if not text or len(text) > MAX_VALUE_CHARS or text.startswith(('{"', '["', "[{")):
        return False
    words = [
        word
        for word in WORD.findall(COMMAND.sub(" ", text))
        if word.lower() not in NOT_PROSE.split()
    ]
    return not words or (len(words) <= MAX_UNIT_WORDS and any(map(str.isdigit, text)))


def _tasks_finding(path: object, counts: Mapping[RowTask, int]) -> DataFinding:
    rows: dict[str, int] = {}
    reasons: dict[str, list[str]] = {}
    for row, count in counts.items():
        rows[row.task] = rows.get(row.task, 0) + count
        reasons.setdefault(row.task, []).append(row.why)
    told = [
        f"{rows[task]} rows go to task {task} ({_listed(reasons[task])})"
        for task in sorted(rows, key=lambda task: -rows[task])
    ]
    return DataFinding(
        kind="tasks",
        level=FindingLevel.note,
        text=f"{path}: {'; '.join(told)}",
        count=sum(rows.values()),
    )


def _listed(names: Iterable[str]) -> str:
    unique = list(dict.fromkeys(names))
    more = f" and {len(unique) - SHOWN} more" if len(unique) > SHOWN else ""
    return ", ".join(unique[:SHOWN]) + more


def _shown(source: str) -> str:
    """A name from the data, fit to be printed."""
    short = source if len(source) <= MAX_SHOWN_CHARS else f"{source[:MAX_SHOWN_CHARS]}..."
    return ascii(short)
