"""Files of a report: each takes its predecessor's place whole, and no other file is touched."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rlavr_hpc.errors import RlavrError

MODE = 0o640


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` that takes its place when the block ends well.

    Args:
        path: the file; its folder exists.

    Raises:
        OSError: the folder cannot be written.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(MODE)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def folder(path: Path) -> Path:
    """Make a folder of the report, with its parents.

    Raises:
        RlavrError: a file stands there, or it may not be written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RlavrError(
            f"the report cannot be written to {path} ({error.strerror}); give another --out"
        ) from error
    return path
