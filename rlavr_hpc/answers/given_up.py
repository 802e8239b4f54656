"""Which answers a run's graders gave up on: on disk before it counts, replayed when resumed.

Whether an answer passes a limit may differ between two machines; what a run has once decided
must not. So every ungradable answer is recorded with its place, and a step that is done again
takes the record instead of trying again. No model text is stored, only a digest of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from rlavr_hpc.errors import RlavrError
from rlavr_hpc.io import LineWriter, make_folder, read_lines
from rlavr_hpc.types import Place, Rollout

FOLDER = "ungradable"
VERSION = 1


def mark_of(rollout: Rollout) -> str:
    """A digest of a response and the prompt it answers."""
    content = f"{rollout.prompt_id}\0{rollout.text}".encode(errors="surrogatepass")
    return hashlib.blake2b(content, digest_size=12).hexdigest()


class GivenUp:
    """What this attempt and the earlier ones gave up on, by place and stage.

    Every rank reads the earlier attempts' files; rank 0 is the only writer of this attempt's,
    which appears with its first line.
    """

    def __init__(self, run_dir: Path, attempt: int, *, fence: Callable[[], None] | None) -> None:
        """Read what earlier attempts recorded.

        Args:
            run_dir: the run's folder.
            attempt: this one.
            fence: raises when a newer attempt owns the run; None on ranks that do not write.

        Raises:
            RlavrError: a line is damaged, or of a newer version.
        """
        self._path = run_dir / FOLDER / f"{attempt}.jsonl"
        self._fence = fence
        self._writer: LineWriter | None = None
        self._marks: dict[tuple[int, int, str], set[str]] = {}
        for path in sorted((run_dir / FOLDER).glob("*.jsonl")):
            for mark, key in _lines(path):
                self._marks.setdefault(key, set()).add(mark)

    def at(self, place: Place, stage: str) -> frozenset[str]:
        """Marks of the responses that are ungradable there, whatever a grader says today."""
        return frozenset(self._marks.get((place.branch, place.step, stage), ()))

    def record(self, marks: Iterable[str], *, place: Place, stage: str) -> None:
        """Write down what was given up on at a place; on disk on return."""
        rows = [
            {"v": VERSION, "branch": place.branch, "step": place.step, "stage": stage, "mark": mark}
            for mark in sorted(set(marks))
        ]
        if not rows or self._fence is None:
            return
        self._fence()
        if self._writer is None:
            make_folder(self._path.parent)
            self._writer = LineWriter(self._path)
        self._writer.append(rows)


def _lines(path: Path) -> Iterable[tuple[str, tuple[int, int, str]]]:
    try:
        for line in read_lines(path):
            row = line.row
            if row.get("v") != VERSION:
                raise RlavrError(f"{path}:{line.number}: version {row.get('v')!r} is not {VERSION}")
            yield str(row["mark"]), (int(row["branch"]), int(row["step"]), str(row["stage"]))
    except (KeyError, TypeError, ValueError) as error:
        raise RlavrError(f"{path} is damaged: {error}") from error
