"""Commands in processes that begin with a run's libraries loaded: see `benchmarks.warm_start`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.warm_start import CUDA, FORKING, become

LIMIT = 600.0
"""Seconds after which a process is killed."""
__all__ = ["CUDA", "start"]


def start(line: Sequence[str], where: Path) -> subprocess.CompletedProcess[str]:
    """`python -m MODULE ARGUMENT...` in a folder; its output is kept, its exit code not judged.

    Raises:
        subprocess.TimeoutExpired: it did not end within `LIMIT`, and was killed.
    """
    with TemporaryDirectory() as kept:
        outputs = [Path(kept, name) for name in ("stdout", "stderr")]
        begun = FORKING.Process(target=become, args=(line, where, dict(os.environ), outputs))
        begun.start()
        begun.join(LIMIT)
        if begun.exitcode is None:
            begun.kill()
            raise subprocess.TimeoutExpired(line, LIMIT)
        said = [path.read_text() for path in outputs]
        return subprocess.CompletedProcess(line, begun.exitcode, *said)
