"""Which column holds what: known names, and names of one's own (`data.columns`).

A name may lead into a column: `reward_model.ground_truth`, `extra_info.answer`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlavr_hpc.config.data import COLUMN_ROLES
from rlavr_hpc.data.messages import MEDIA_COLUMN
from rlavr_hpc.data.written_values import parse_written
from rlavr_hpc.errors import UserError

PAIRS = (("{", "}"), ("[", "]"))
KNOWN: Mapping[str, tuple[str, ...]] = {
    "prompt": ("prompt", "problem", "question"),
    "answer": (
        "reward_model.ground_truth",
        "ground_truth",
        "answer",
        "final_answer",
        "expected_answer",
        "answerKey",
    ),
    "id": ("id",),
    "data_source": ("data_source",),
    "choices": ("choices", "options"),
}
"""Role -> names that are looked for, in this order."""
SOLUTION = "solution"
"""Holds the label only where none of the columns for an answer is there."""
LETTER = re.compile(
    r"(?:[Oo]p(?:t(?:ion)?)?|[Cc]hoice)?[ _]?([A-Z])|(?:op(?:t(?:ion)?)?|choice)[ _]?([a-z])"
)
"""A column that holds one option: A, option_a, choice B."""
LOOKS_LIKE = {
    "prompt": r"prompt|problem|question|instruction|query|input|text|messages|conversation|content",
    "answer": r"answer|solution|output|label|target|response|truth|gold|key",
}
"""What a column is proposed by."""
MISSING = object()
"""What stands for a value whose column is not there."""


@dataclass(slots=True, kw_only=True)
class Columns:
    """The columns of one file."""

    path: Path
    given: Mapping[str, str] = field(default_factory=dict)
    """Role -> name, which is the only one looked for then."""
    seen: dict[str, None] = field(default_factory=dict)
    """Every column of the file so far."""
    found: set[str] = field(default_factory=set)
    """Roles of which some row has had a column."""
    _letters: dict[tuple[str, ...], tuple[tuple[str, str], ...]] = field(default_factory=dict)

    def see(self, names: Iterable[str]) -> None:
        """Take note of a row's, or a whole file's, columns."""
        self.seen.update(dict.fromkeys(names))

    def names_of(self, role: str) -> tuple[str, ...]:
        """Where a role's value is looked for."""
        return (self.given[role],) if role in self.given else KNOWN[role]

    def value(self, row: Mapping[str, Any], role: str) -> object:
        """The first value that is not empty, else the first that is there, else None."""
        return next(iter(self.values(row, role)), None)

    def values(self, row: Mapping[str, Any], role: str) -> list[object]:
        """The role's values in the order of its names, those that are empty last."""
        there = [v for name in self.names_of(role) if (v := lookup(row, name)) is not MISSING]
        if there:
            self.found.add(role)
        return sorted(there, key=_is_empty)  # sorted() is stable

    def solution(self, row: Mapping[str, Any]) -> object:
        """A worked solution, where the row has no column for an answer."""
        if "answer" in self.given or any(
            lookup(row, name) is not MISSING for name in KNOWN["answer"]
        ):
            return None
        return row.get(SOLUTION)

    def options(self, row: Mapping[str, Any]) -> object:
        """What the row offers to choose from: its own column, or one column per letter."""
        value = self.value(row, "choices")
        if not _is_empty(value):
            return value
        letters = self.letter_columns(tuple(row))
        return {letter: row[name] for letter, name in letters} or None

    def letter_columns(self, names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
        """(letter, column) where there are columns A, B, ... or option_a, option_b, ..."""
        if names not in self._letters:
            matches = ((LETTER.fullmatch(name), name) for name in names)
            found = {(m[1] or m[2]).upper(): name for m, name in matches if m}
            run = [letter for letter in "ABCDEFGHIJ" if letter in found]
            whole = len(run) > 1 and "".join(run) == "ABCDEFGHIJ"[: len(run)]
            self._letters[names] = tuple((k, found[k]) for k in run) if whole else ()
        return self._letters[names]

    def needed(self, names: Sequence[str]) -> list[str]:
        """Those of a file's columns that are read at all."""
        wanted = {SOLUTION, *(name for _, name in self.letter_columns(tuple(names)))}
        wanted |= {name for name in names if MEDIA_COLUMN.fullmatch(name)}
        for role in COLUMN_ROLES:
            for name in self.names_of(role):
                wanted |= {name, name.partition(".")[0]}
        return [name for name in names if name in wanted]

    def check_known(self, names: Sequence[str]) -> None:
        """Refuse a file whose columns are known beforehand and lack what is looked for.

        Raises:
            UserError: no column for the prompt, or a column of `data.columns` is not there.
        """
        self.see(names)
        for role, name in self.given.items():
            if name not in names and name.partition(".")[0] not in names:
                raise self.no_column(role)
        if not any(n in names or n.partition(".")[0] in names for n in self.names_of("prompt")):
            raise UserError(self.no_prompt())

    def check_found(self) -> None:
        """Refuse a file of which no row had a column of `data.columns`; call after its last row.

        Raises:
            UserError: naming it, and the columns there are.
        """
        for role in self.given:
            if role not in self.found and self.seen:
                raise self.no_column(role)

    def no_column(self, role: str) -> UserError:
        """The error about a column of `data.columns`."""
        return UserError(
            f"data.columns.{role}={self.given[role]}: {self.path} has no such column; it has "
            f"{self.listed}"
        )

    def no_prompt(self) -> str:
        """What to say of a file without a prompt."""
        return f"{self.path}: {self.no_text()}"

    def no_text(self) -> str:
        """What to say of a row without a prompt."""
        known = " or ".join(map(repr, self.names_of("prompt")))
        if "prompt" in self.found:
            return f"no text under {known}"
        return (
            f"no text under {known}; its columns are {self.listed}. Say which is which: "
            f"{self.proposal('prompt', 'answer')}"
        )

    @property
    def listed(self) -> str:
        """The columns there are, for messages."""
        return ", ".join(self.seen) or "(none)"

    def proposal(self, *roles: str) -> str:
        """A setting to type, with the likeliest columns."""
        taken: list[str] = []
        pairs = []
        for role in roles:
            like = re.compile(LOOKS_LIKE[role], re.IGNORECASE)
            free = [name for name in self.seen if name not in taken]
            name = next((name for name in free if like.search(name)), "COLUMN")
            taken.append(name)
            pairs.append(f"{role}: {name}")
        return f"'data.columns={{{', '.join(pairs)}}}'"


def lookup(row: Mapping[str, Any], name: str) -> object:
    """A row's value under a name that may lead into columns; MISSING where there is none."""
    if name in row:
        return row[name]
    first, dot, rest = name.partition(".")
    inner = unwritten(row.get(first)) if dot else None
    return lookup(inner, rest) if isinstance(inner, Mapping) else MISSING


def unwritten(value: object) -> object:
    """What a text holds that is a list or an object written as JSON, or as Python prints it."""
    if not isinstance(value, str) or (value.lstrip()[:1], value.rstrip()[-1:]) not in PAIRS:
        return value
    try:
        return parse_written(value)
    except ValueError:
        return value


def _is_empty(value: object) -> bool:
    if value is None or (isinstance(value, str) and not value.strip()):
        return True
    return isinstance(value, list | tuple | dict) and not value
