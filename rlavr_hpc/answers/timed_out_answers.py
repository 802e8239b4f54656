"""Which answers a run's graders gave up on: on disk before it counts, replayed when resumed.

Whether an answer passes a limit may differ between two machines; what a run has once decided
must not. So every ungradable answer is recorded with its place, and a step that is done again
takes the record instead of trying again. No model text is stored, only a digest of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rlavr_hpc.errors import RlavrError
from rlavr_hpc.io import LineWriter, make_folder
from rlavr_hpc.runs.attempts import accepted_lines, segment
from rlavr_hpc.types import Rollout, StepKey

FOLDER = "ungradable"
VERSION = 1
FIELDS = {"branch": int, "step": int, "stage": str, "mark": str}


def answer_id(rollout: Rollout) -> str:
    """A digest of a response and the prompt it answers."""
    content = f"{rollout.prompt_id}\0{rollout.text}".encode(errors="surrogatepass")
    return hashlib.blake2b(content, digest_size=12).hexdigest()


Marks = dict[tuple[int, int, str], set[str]]
"""(branch, step, stage) -> marks."""


class TimedOutAnswers:
    """What this attempt and the earlier ones gave up on, by place and stage.

    Rank 0 is the only writer of this attempt's file, which appears with its first line.
    """

    def __init__(
        self, run_dir: Path, attempt: int, *, fence: Callable[[], None] | None, marks: Marks
    ) -> None:
        """Go on from what earlier attempts recorded.

        Args:
            run_dir: the run's folder.
            attempt: this one.
            fence: raises when a newer attempt owns the run; None on ranks that do not write.
            marks: of `read_timed_out`, the same on every rank.
        """
        self._path = segment(run_dir, FOLDER, attempt)
        self._fence = fence
        self._writer: LineWriter | None = None
        self._marks = marks

    def at(self, step_key: StepKey, stage: str) -> frozenset[str]:
        """Marks of the responses that are ungradable there, whatever a grader says today."""
        return frozenset(self._marks.get((step_key.branch, step_key.step, stage), ()))

    def record(self, marks: Iterable[str], *, step_key: StepKey, stage: str) -> None:
        """Write down what was given up on at a place; on disk on return."""
        rows = [
            {
                "v": VERSION,
                "branch": step_key.branch,
                "step": step_key.step,
                "stage": stage,
                "mark": mark,
            }
            for mark in sorted(set(marks))
        ]
        if not rows or self._fence is None:
            return
        self._fence()
        if self._writer is None:
            make_folder(self._path.parent)
            self._writer = LineWriter(self._path)
        self._writer.append(rows)


def read_timed_out(run_dir: Path) -> Marks:
    """What earlier attempts recorded, up to the seal on each of them.

    Raises:
        RlavrError: a line is damaged, or of a newer version.
    """
    marks: Marks = {}
    for mark, key in _accepted(run_dir):
        marks.setdefault(key, set()).add(mark)
    return marks


def _accepted(run_dir: Path) -> Iterator[tuple[str, tuple[int, int, str]]]:
    try:
        for _, path, line in accepted_lines(run_dir, FOLDER):
            yield _entry(line.row, f"{path}:{line.number}")
    except ValueError as error:
        raise RlavrError(f"{error}; the graders' record was damaged") from error


def _entry(row: Mapping[str, Any], where: str) -> tuple[str, tuple[int, int, str]]:
    if row.get("v") != VERSION:
        raise RlavrError(f"{where}: version {row.get('v')!r} is not {VERSION}, the one known here")
    for name, kind in FIELDS.items():
        if type(row.get(name)) is not kind:
            raise RlavrError(f"{where}: {name}={row.get(name)!r} is no {kind.__name__}: damaged")
    return row["mark"], (row["branch"], row["step"], row["stage"])
