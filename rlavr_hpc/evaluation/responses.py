"""The texts of an evaluation, where they are asked for: prompts and responses, no label.

While it goes on, a set's texts are in OUT/.responses-SET.jsonl, one line per finished problem, on
disk before the next problems are begun. When all sets are finished, FILE gets one line per problem
and sample. Both are for the user alone (mode 0600): a right answer tells the label.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlavr_hpc.errors import RlavrError, UserError
from rlavr_hpc.evaluation.record import ProblemResult, SetRecord, refuse_other
from rlavr_hpc.io import LineWriter, make_folder, read_lines, sync_folder

VERSION = 1
PRIVATE = 0o600
OURS = {"set", "id", "sample", "prompt", "response"}
"""Keys by which a file of an earlier evaluation is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GradedProblem:
    """A problem's result, with its texts where they are kept; N samples."""

    result: ProblemResult
    prompt: str = ""
    """What the model read."""
    responses: tuple[str, ...] = ()
    """(N,)"""


class ResponsesRecord:
    """The texts of one test set as they come, and the only writer of them."""

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        """Begin the file, or continue it after its last complete line.

        Raises:
            UserError: it is damaged, or was made with another model or other settings.
        """
        self.path = path
        try:
            lines = list(read_lines(path))
            if lines:
                refuse_other(path, lines[0].row, header, version=VERSION)
            self.done = {str(line.row["id"]) for line in lines[1:]}
        except (ValueError, TypeError, KeyError) as error:
            raise UserError(
                f"{path} is damaged ({error}); move it away to sample this set's texts anew"
            ) from error
        path.touch(mode=PRIVATE)
        self._writer = LineWriter(path, keep=lines[-1].end if lines else 0)
        if not lines:
            self._append([{"v": VERSION, **header}])

    def add(self, problems: Iterable[GradedProblem]) -> None:
        """Put the texts of finished problems on disk.

        Raises:
            RlavrError: the disk is full or gone; none of them count.
        """
        new = [problem for problem in problems if problem.result.id not in self.done]
        self._append(
            {"id": p.result.id, "prompt": p.prompt, "responses": list(p.responses)} for p in new
        )
        self.done |= {problem.result.id for problem in new}

    def texts(self) -> Iterator[tuple[str, str, list[str]]]:
        """(problem, prompt, responses) of every finished problem."""
        for line in read_lines(self.path):
            if line.number > 1:
                yield line.row["id"], line.row["prompt"], line.row["responses"]

    def _append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        try:
            self._writer.append(rows)
        except OSError as error:
            raise RlavrError(
                f"{self.path}: cannot be written ({error.strerror}); make room and start the same "
                "command again"
            ) from error


def responses_path(out: Path, name: str) -> Path:
    """Where the texts of a set are kept while it is measured."""
    return out / f".responses-{name}.jsonl"


def check_responses_file(path: Path) -> None:
    """Raise UserError where FILE cannot be written, or is a file of another kind."""
    if path.is_dir():
        raise UserError(f"--responses {path} is a folder; name a file")
    if not path.exists() or path.stat().st_size == 0:
        return
    try:
        first = next(read_lines(path)).row
    except (ValueError, StopIteration, OSError):
        first = {}
    if not first.keys() >= OURS:
        raise UserError(f"--responses {path} exists and holds something else; name another file")


def write_responses(path: Path, sets: Sequence[tuple[SetRecord, ResponsesRecord]]) -> None:
    """Write FILE, whole or not at all.

    Args:
        path: FILE.
        sets: the records of each test set, all of them finished.
    """
    make_folder(path.parent)
    descriptor, work = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            for record, texts in sets:
                for row in _rows(record, texts):
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        Path(work).replace(path)
    except BaseException:
        Path(work).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _rows(record: SetRecord, texts: ResponsesRecord) -> Iterator[dict[str, Any]]:
    for problem, prompt, responses in texts.texts():
        result = record.done.get(problem)
        if result is None:  # of a larger --limit
            continue
        for sample, response in enumerate(responses):
            yield {
                "set": record.path.stem,
                "id": problem,
                "sample": sample,
                "prompt": prompt,
                "response": response,
                "answer": result.answers[sample],
                "correct": result.correct[sample],
                "truncated": result.truncated[sample],
                "tokens": result.tokens[sample],
            }
