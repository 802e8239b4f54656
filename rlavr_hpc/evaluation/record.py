"""OUT/SET.jsonl: a header that says what is measured, then one line per finished problem.

Lines are on disk before the next problems are begun, so a killed evaluation is continued and not
begun anew. No label is in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rlavr_hpc.errors import RlavrError, UserError
from rlavr_hpc.io import LineWriter, read_lines

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemResult:
    """What is kept of one problem; N samples."""

    id: str
    answers: tuple[str | None, ...]
    """(N,) as extracted; None = unparsable."""
    correct: tuple[bool, ...]
    """(N,)"""
    ungradable: tuple[bool, ...]
    """(N,) whether grading it passed a limit: it neither votes nor is right."""
    vote: int | None
    """A sample that gave the majority's answer; None without any answer."""
    tokens: tuple[int, ...]
    """(N,) response lengths."""
    truncated: tuple[bool, ...]
    """(N,) whether the length limit ended the response."""

    @property
    def vote_right(self) -> bool:
        """Whether the majority's answer is right; False without a vote."""
        return self.vote is not None and self.correct[self.vote]


class SetRecord:
    """The file of one test set, and the only writer of it."""

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        """Begin the file, or continue it after its last complete line.

        Raises:
            UserError: it is damaged, or was made with another model or other settings.
        """
        self.path, self.done = path, dict[str, ProblemResult]()
        try:
            lines = list(read_lines(path))
            if lines:
                refuse_other(path, lines[0].row, header, version=VERSION)
            for line in lines[1:]:
                result = _result(line.row)
                self.done[result.id] = result
        except (ValueError, TypeError, KeyError) as error:
            raise UserError(
                f"{path} is damaged ({error}); move it away to begin this set anew"
            ) from error
        keep = lines[-1].end if lines else 0
        self._writer = LineWriter(path, keep=keep if path.exists() else None)
        if not lines:
            self._append([{"v": VERSION, **header}])

    def add(self, results: Iterable[ProblemResult]) -> None:
        """Put finished problems on disk.

        Raises:
            RlavrError: the disk is full or gone; none of them count.
        """
        new = [result for result in results if result.id not in self.done]
        self._append(asdict(result) for result in new)
        self.done |= {result.id: result for result in new}

    def _append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        try:
            self._writer.append(rows)
        except OSError as error:
            raise RlavrError(
                f"{self.path}: cannot be written ({error.strerror}); make room and start the same "
                "command again"
            ) from error


def _result(row: Mapping[str, Any]) -> ProblemResult:
    return ProblemResult(
        id=row["id"],
        answers=tuple(row["answers"]),
        correct=tuple(row["correct"]),
        ungradable=tuple(row["ungradable"]),
        vote=row["vote"],
        tokens=tuple(row["tokens"]),
        truncated=tuple(row["truncated"]),
    )


def refuse_other(
    path: Path, before: Mapping[str, Any], header: Mapping[str, Any], *, version: int
) -> None:
    """Refuse to continue a file of another evaluation.

    Args:
        path: the file.
        before: its header.
        header: what it would be now, without its version.
        version: of the file's format.

    Raises:
        UserError: it was made by another version, with another model or other settings.
    """
    if before["v"] != version:
        raise UserError(f"{path}: version {before['v']!r} is not {version}, the one known here")
    old, new = dict(_flat(before)), dict(_flat({"v": version, **header}))
    changes = [
        f"{key}: {old.get(key)!r} -> {new.get(key)!r}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]
    if changes:
        raise UserError(
            f"{path} holds an evaluation of another kind ({', '.join(changes)}); choose another "
            "--out, or move the file away"
        )


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
