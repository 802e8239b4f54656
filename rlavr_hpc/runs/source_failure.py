"""RUN/labels/failure.json: why a run's label source gave nothing when it was last asked.

Whoever asks the source writes it, and deletes it with the next answer; `rlavr status` and
`rlavr why` tell it. Its words are those of a service or of somebody's program.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path

from rlavr_hpc.errors import RlavrError
from rlavr_hpc.io import read_record, write_record

FILE = "labels/failure.json"
VERSION = 1
MAX_BYTES = 1 << 16
MAX_WORDS = 400
"""Characters of the words that are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFailure:
    """The last failure of a run's label source."""

    time: float
    """Unix time."""
    words: str
    stopped: bool
    """Whether nothing more is asked until the bridge, or the run, is started again."""


def write_source_failure(run_dir: Path, failure: SourceFailure) -> None:
    """Put it on record in place of an earlier one.

    Raises:
        OSError: it cannot be written.
    """
    write_record(run_dir / FILE, VERSION, asdict(failure))


def forget_source_failure(run_dir: Path) -> None:
    """The source has answered since.

    Raises:
        OSError: the record cannot be deleted.
    """
    (run_dir / FILE).unlink(missing_ok=True)


def read_source_failure(run_dir: Path) -> SourceFailure | None:
    """The last failure, its words on one line of what can be printed; None without one."""
    path = run_dir / FILE
    try:
        if path.stat().st_size > MAX_BYTES:
            return None
        row = read_record(path, VERSION)
        at, words, stopped = float(row["time"]), str(row["words"]), row["stopped"] is True
    except (OSError, RlavrError, KeyError, TypeError, ValueError, RecursionError):
        return None
    if not math.isfinite(at):
        return None
    flat = " ".join("".join(c if c.isprintable() else " " for c in words).split())
    words = flat if len(flat) <= MAX_WORDS else f"{flat[: MAX_WORDS - 3]}..."
    return SourceFailure(time=at, words=words, stopped=stopped)
