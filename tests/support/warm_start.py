"""Processes that begin with a run's libraries loaded: importing them is most of a short run.

Each is forked from one process that has imported them and done nothing else, so it shares nothing
with the runs before it. What a new interpreter shows besides, such as the order of imports and
another hash seed, is shown by runs under torchrun or Slurm, and by `fresh=True`.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

CUDA = Path("/proc/driver/nvidia")
"""Where this exists there are no warm starts: CUDA does not survive a fork."""
LIMIT = 600.0
"""Seconds after which a process is killed."""
_FORKING = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload(["tests.support.warm_imports"])


def start(line: Sequence[str], where: Path) -> subprocess.CompletedProcess[str]:
    """`python -m MODULE ARGUMENT...` in a folder; its output is kept, its exit code not judged.

    Raises:
        subprocess.TimeoutExpired: it did not end within `LIMIT`, and was killed.
    """
    with TemporaryDirectory() as kept:
        outputs = [Path(kept, name) for name in ("stdout", "stderr")]
        begun = _FORKING.Process(target=_become, args=(line, where, dict(os.environ), outputs))
        begun.start()
        begun.join(LIMIT)
        if begun.exitcode is None:
            begun.kill()
            raise subprocess.TimeoutExpired(line, LIMIT)
        said = [path.read_text() for path in outputs]
        return subprocess.CompletedProcess(line, begun.exitcode, *said)


def _become(
    line: Sequence[str], where: Path, environment: Mapping[str, str], outputs: Sequence[Path]
) -> None:
    """Be the process that `python -m` would start."""
    for number, path in enumerate(outputs, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(where)
    sys.argv = list(line)
    runpy.run_module(line[0], run_name="__main__", alter_sys=True)
