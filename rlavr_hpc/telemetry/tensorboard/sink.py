"""A run's mirror in TensorBoard, in `RUN/tensorboard`: `tensorboard --logdir runs` shows it live.

Every attempt writes one new file, made of the record alone: first the steps that the run has behind
it, then every row that comes. The file takes its place when it has caught up, and the files of
earlier attempts are removed then. So a step that is done again after a kill stands there once, and
what a roll-back left behind is gone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rlavr_hpc.io import make_folder
from rlavr_hpc.runs.attempts import Attempt
from rlavr_hpc.telemetry.background import PATIENCE, BackgroundMirror, End
from rlavr_hpc.telemetry.sinks import read_line
from rlavr_hpc.telemetry.tensorboard.events import EVENTS, NAME, EventFile

FOLDER = "tensorboard"


class TensorboardSink(BackgroundMirror):
    """One attempt's event file."""

    name = "TensorBoard"
    way_out = "; `rlavr track rebuild RUN --tensorboard OUT` shows it later"

    def __init__(
        self,
        run_dir: Path,
        attempt: Attempt,
        *,
        start: Callable[[Path], EventFile] = EventFile,
        patience: float = PATIENCE,
    ) -> None:
        """Prepare to write; `start` opens a file."""
        super().__init__(attempt, patience=patience)
        self._run_dir, self._start = run_dir, start

    def _stamp(self) -> dict[str, float]:
        return {"time": time.time()}

    def _mirror(self) -> None:
        """Catch up to the first row that comes, and go on from there."""
        first = self._next()
        path = make_folder(self._run_dir / FOLDER) / NAME.format(number=self._attempt.number)
        unfinished = path.with_name(
            f".{self._attempt.number}.unfinished"
        )  # no name of an event file
        with self._start(unfinished) as file:
            until = None if first is None else first["step"] - 1
            for past in read_line(self._run_dir, until=until):
                file.write(past)
            unfinished.replace(path)
            self._remove_older(path)
            row: dict[str, Any] | None = first
            while row is not None:
                file.write(row)
                row = self._next()

    def _next(self) -> dict[str, Any] | None:
        """The next row; None at the end. Examples are not shown."""
        while self._end is None:
            given = self._queue.get()
            if isinstance(given, End):
                self._end = given
            elif isinstance(given, dict):
                return given
        return None

    def _remove_older(self, path: Path) -> None:
        """Only older ones: the process of an earlier attempt may still be alive."""
        for other in path.parent.glob(EVENTS):
            if other.name < path.name:
                other.unlink(missing_ok=True)
