"""Processes that begin with a run's libraries loaded: importing them is most of a short run.

Each is forked from one process that has imported them and done nothing else, so it shares nothing
with the runs before it. What a new interpreter shows besides, such as the order of imports and
another hash seed, is shown by runs under torchrun or Slurm, and by `fresh=True` in the tests.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

CUDA = Path("/proc/driver/nvidia")
"""Where this exists there are no warm starts: CUDA does not survive a fork."""
FORKING = multiprocessing.get_context("forkserver")
if not CUDA.exists():
    FORKING.set_forkserver_preload(["benchmarks.warm_imports"])


def become(
    line: Sequence[str], where: Path, environment: Mapping[str, str], outputs: Sequence[Path]
) -> None:
    """Be the process that `python -m` would start; to be called in a process of `FORKING`.

    Args:
        line: the module and its arguments.
        where: the working directory.
        environment: all of it.
        outputs: files that get stdout and stderr.
    """
    for number, path in enumerate(outputs, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
    os.chdir(where)
    if CUDA.exists():
        os.execve(sys.executable, [sys.executable, "-m", *line], dict(environment))
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = list(line)
    runpy.run_module(line[0], run_name="__main__", alter_sys=True)
