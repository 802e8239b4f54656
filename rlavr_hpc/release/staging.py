"""A folder that exists whole or not at all: made beside its place, flushed, renamed at once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from rlavr_hpc.errors import UserError
from rlavr_hpc.io import FOLDER_MODE, make_folder, sync_file, sync_folder

FILE_MODE = 0o640


def check_free(out: Path) -> None:
    """Raise UserError unless `out` is missing or an empty folder."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file; name a folder that does not exist yet")
    if out.is_dir() and any(out.iterdir()):
        raise UserError(f"{out} is not empty; choose another folder, or remove it first")


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """An empty folder that becomes `out` when the block ends well, and is gone otherwise.

    What a killed process left behind for the same `out` is removed.

    Args:
        out: an absolute path without links; see `check_free`.

    Raises:
        UserError: another process is making the same folder.
        OSError: it cannot be written.
    """
    work = out.with_name(f".{out.name}.export")
    make_folder(work)
    try:
        lock = FileLock(work / ".lock", timeout=0)
        lock.acquire()
    except Timeout as error:
        raise UserError(
            f"another export is writing {out}; wait for it, or choose another"
        ) from error
    try:
        folder = work / "model"
        shutil.rmtree(folder, ignore_errors=True)  # of an export that was killed
        folder.mkdir()
        yield folder
        _flush(folder)
        folder.rename(out)  # fails, and harms nothing, where something has come there meanwhile
        sync_folder(out.parent)
    finally:
        shutil.rmtree(work, ignore_errors=True)
        lock.release()


def _flush(folder: Path) -> None:
    """Put all of it on disk, with the modes of all that this program writes."""
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(FILE_MODE)
            sync_file(path)
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            path.chmod(FOLDER_MODE)
            sync_folder(path)
