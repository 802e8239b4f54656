"""TensorBoard's event files: the only importer of tensorboard.

TensorBoard's own record writer and protocol buffers are used without its `EventFileWriter`, which
would load TensorFlow where that is installed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from rlavr_hpc.errors import UserError
from rlavr_hpc.io import make_folder

FACTS = ("v", "time", "step", "branch", "attempt")
"""Keys of a row that are no metrics."""
EVENTS = "events.out.tfevents.*"
NAME = "events.out.tfevents.{number:010d}.rlavr_hpc"
"""TensorBoard takes files with `tfevents` in their name, in the order of their names."""
MODE = 0o640
FORMAT = "brain.Event:2"


class EventFile:
    """An event file being written; every row is handed to the operating system at once."""

    def __init__(self, path: Path) -> None:
        """Begin the file; readers drop what older files of the folder hold.

        Raises:
            OSError: it cannot be written.
        """
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._event, self._summary = Event, Summary
        self._file: IO[bytes] = path.open("wb")
        path.chmod(MODE)
        self._records = RecordWriter(self._file)
        self._append(Event(file_version=FORMAT))
        # a restart at step 0: a TensorBoard that has read an older file forgets all of it
        self._append(Event(step=0, session_log=SessionLog(status=SessionLog.START)))

    def write(self, row: Mapping[str, Any]) -> None:
        """Append a row's metrics as scalars, at its step and time.

        Raises:
            OSError: the disk is full or gone.
        """
        values = [
            self._summary.Value(tag=name, simple_value=float(value))
            for name, value in row.items()
            if name not in FACTS
        ]
        summary = self._summary(value=values)
        self._append(
            self._event(wall_time=float(row["time"]), step=int(row["step"]), summary=summary)
        )

    def _append(self, event: Any) -> None:  # noqa: ANN401  made by protobuf at run time
        self._records.write(event.SerializeToString())
        self._records.flush()

    def close(self) -> None:
        """No more rows."""
        self._records.close()

    def __enter__(self) -> Self:
        """The file itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()


def write_events(folder: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write rows of metrics to a new event file.

    Args:
        folder: for the file; it must hold none yet, because TensorBoard shows all it finds there.
        rows: of the steps that a run has behind it.

    Returns:
        How many rows were written.

    Raises:
        UserError: there is no row, or the folder holds events already.
        OSError: the folder cannot be written.
    """
    given = list(rows)
    if not given:
        raise UserError(f"no row of metrics is on record for {folder}; nothing to show")
    if folder.is_dir() and any(folder.glob(EVENTS)):
        raise UserError(f"{folder} holds events already; choose another folder or delete them")
    with EventFile(make_folder(folder) / NAME.format(number=0)) as file:
        for row in given:
            file.write(row)
    return len(given)
