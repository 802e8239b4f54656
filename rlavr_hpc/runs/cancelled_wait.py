"""A parked run that was cancelled where no job is left to cancel: RUN/labels/cancelled/N.json.

N is the attempt that parked, so that the run's next start is not cancelled. Where a job was there,
its cancellation is in `stops` instead.
"""

from __future__ import annotations

import getpass
import time
from pathlib import Path

from rlavr_hpc.io import make_folder, write_record

FOLDER = "labels/cancelled"
VERSION = 1


def cancel_wait(run_dir: Path, attempt: int) -> None:
    """Put on record that nobody waits for the labels of this attempt any more.

    Raises:
        OSError: it cannot be written.
    """
    path = _path(run_dir, attempt)
    make_folder(path.parent)
    write_record(path, VERSION, {"time": time.time(), "by": getpass.getuser()})


def is_wait_cancelled(run_dir: Path, attempt: int) -> bool:
    """Whether that was done."""
    return _path(run_dir, attempt).exists()


def _path(run_dir: Path, attempt: int) -> Path:
    return run_dir / FOLDER / f"{attempt}.json"
