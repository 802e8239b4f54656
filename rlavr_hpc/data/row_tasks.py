"""Sorts the rows of a file into tasks, and says which went where and why."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

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


@dataclass(slots=True, kw_only=True)
class _Source:
    """What was seen of one `data_source`."""

    task: str
    why: str
    known: bool = True
    rows: int = 0
    labels: int = 0
    checked: int = 0
    values: int = 0
    """Of the checked labels, those that read as mathematics."""


@dataclass(slots=True)
class RowTasks:
    """Call `task_of` for each row, then `findings`."""

    named: str | None
    """The task that the config names for all rows; None = each row's `data_source` says it."""
    _sources: dict[tuple[str, bool], _Source] = field(default_factory=dict)

    def task_of(self, row: Mapping[str, Any], label: str | None) -> str:
        """The task of a row.

        Args:
            row: as it stands in the file.
            label: its answer; None = it has none.
        """
        source, several = str(row.get("data_source") or ""), _has_choices(row)
        found = self._sources.get((source, several))
        if found is None:
            found = self._sources[source, several] = self._sorted(source, several)
        found.rows += 1
        found.labels += label is not None
        if label is not None and not found.known and found.checked < MAX_CHECKED:
            found.checked += 1
            found.values += is_value(label)
        return found.task

    def findings(self, path: object) -> tuple[DataFinding, ...]:
        """What went where, for the user.

        Raises:
            UserError: rows of a source that no task reads.
        """
        self._refuse(path)
        told = [_tasks_finding(path, self._sources)]
        strangers = [
            _shown(name) for (name, _), source in self._sources.items() if not source.known
        ]
        if strangers:
            rows = sum(source.rows for source in self._sources.values() if not source.known)
            text = (
                f"{path}: data_source {_listed(strangers)} of {rows} rows is no known name; its "
                f"labels read as mathematics, so task {DEFAULT} reads its answers; data.task=math "
                "says so without this warning"
            )
            told.append(
                DataFinding(
                    kind="unknown_source", level=FindingLevel.warning, text=text, count=rows
                )
            )
        return tuple(told)

    def _sorted(self, source: str, several: bool) -> _Source:
        if self.named:
            return _Source(task=self.named, why="named by the config")
        name = short_name(source)
        if name in TASK_OF_SOURCE:
            return _Source(task=TASK_OF_SOURCE[name], why=f"data_source {_shown(source)}")
        if several:
            return _Source(task="choice", why="they have choices")
        if not source:
            return _Source(task=DEFAULT, why="the default: they name no data_source")
        return _Source(task=DEFAULT, why=f"unknown data_source {_shown(source)}", known=False)

    def _refuse(self, path: object) -> None:
        if self.named:
            return
        lines = []
        for (name, _), source in self._sources.items():
            reason = NOT_READ.get(short_name(name)) if not source.known else None
            if not source.known and reason is None and 2 * source.values < source.checked:
                reason = "nobody knows it, and its labels do not read as mathematics"
            if reason is not None:
                lines.append(f"{_shown(name)} ({source.rows} rows: {reason})")
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


def _has_choices(row: Mapping[str, Any]) -> bool:
    choices = row.get("choices")
    if isinstance(choices, Mapping):  # as ARC has them: texts and their letters
        choices = choices.get("text")
    return isinstance(choices, list) and len(choices) > 1


def _tasks_finding(path: object, sources: Mapping[tuple[str, bool], _Source]) -> DataFinding:
    rows: dict[str, int] = {}
    reasons: dict[str, dict[str, int]] = {}
    for source in sources.values():
        rows[source.task] = rows.get(source.task, 0) + source.rows
        why = reasons.setdefault(source.task, {})
        why[source.why] = why.get(source.why, 0) + source.rows
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
