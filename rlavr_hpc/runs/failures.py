"""How ranks failed: RUN/failures/START.RANK.json, one file per rank of one start.

START is A_T.R below Slurm (see `runs.stops`), else HOST-PID of its parent. A rank that is
killed from outside leaves none.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rlavr_hpc.errors import RlavrError
from rlavr_hpc.io import make_folder, read_record, write_record

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a rank failed."""

    start: str
    rank: int
    exit_code: int
    error: str
    """The exception in one line."""
    traceback: str
    """"" where the error is an expected one, whose message says it all."""
    host: str
    pid: int
    time: float = field(default_factory=time.time)


def write_failure(run_dir: Path, failure: Failure) -> None:
    """Put a failure on record; raises OSError where that is impossible."""
    path = make_folder(run_dir / "failures") / f"{failure.start}.{failure.rank}.json"
    write_record(path, VERSION, asdict(failure))


def read_failures(run_dir: Path) -> list[Failure]:
    """All failures of a run's ranks, oldest first: the first of a start is the one to look at.

    Raises:
        RlavrError: a record is damaged or of another version.
    """
    paths = [path for path in (run_dir / "failures").glob("*.json") if path.name[0] != "."]
    return sorted(map(read_failure, paths), key=lambda failure: failure.time)


def read_failure(path: Path) -> Failure:
    """One rank's failure.

    Raises:
        RlavrError: the record is damaged or of another version.
    """
    try:
        return Failure(**read_record(path, VERSION))
    except TypeError as error:
        raise RlavrError(f"{path} cannot be used: {error}") from error
