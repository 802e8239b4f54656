"""Answers whose grading timed out: on disk before this counts, replayed when resumed.

Whether grading exceeds a limit may differ between two machines; what a run has once decided must
not. So every ungradable answer is recorded with its step, and a step that is done again takes the
record instead of trying again. No model text is stored, only a digest of it.
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


TimedOutIds = dict[tuple[int, int, str], set[str]]
"""(branch, step, stage) -> ids of answers."""


class TimedOutAnswers:
    """Ungradable answers of this attempt and the earlier ones, by step and stage.

    Rank 0 is the only writer of this attempt's file, which appears with its first line.
    """

    def __init__(
        self,
        run_dir: Path,
        attempt: int,
        *,
        fence: Callable[[], None] | None,
        answer_ids: TimedOutIds,
    ) -> None:
        """Go on from what earlier attempts recorded.

        Args:
            run_dir: the run's folder.
            attempt: this one.
            fence: raises when a newer attempt owns the run; None on ranks that do not write.
            answer_ids: of `read_timed_out`, the same on every rank.
        """
        self._path = segment(run_dir, FOLDER, attempt)
        self._fence = fence
        self._writer: LineWriter | None = None
        self._answer_ids = answer_ids

    def at(self, step_key: StepKey, stage: str) -> frozenset[str]:
        """Ids of the responses on record as ungradable at this step and stage."""
        return frozenset(self._answer_ids.get((step_key.branch, step_key.step, stage), ()))

    def record(self, answer_ids: Iterable[str], *, step_key: StepKey, stage: str) -> None:
        """Record ungradable answers of a step; on disk on return."""
        rows = [
            {
                "v": VERSION,
                "branch": step_key.branch,
                "step": step_key.step,
                "stage": stage,
                "mark": mark,
            }
            for mark in sorted(set(answer_ids))
        ]
        if not rows or self._fence is None:
            return
        self._fence()
        if self._writer is None:
            make_folder(self._path.parent)
            self._writer = LineWriter(self._path)
        self._writer.append(rows)


def read_timed_out(run_dir: Path) -> TimedOutIds:
    """What earlier attempts recorded, up to the seal on each of them.

    Raises:
        RlavrError: a line is damaged, or of a newer version.
    """
    answer_ids: TimedOutIds = {}
    for mark, key in _accepted(run_dir):
        answer_ids.setdefault(key, set()).add(mark)
    return answer_ids


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
