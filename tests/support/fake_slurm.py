"""Slurm's programs as scripts that say what a test has them say, and write down what was asked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from rlavr_hpc.runs.queued_job import QueuedJob


class FakeSlurm:
    """Programs in a folder of their own, for the PATH of a subprocess."""

    def __init__(self, folder: Path) -> None:
        """Make squeue, scancel and scontrol; the queue is empty."""
        self.folder = folder
        folder.mkdir()
        self.says("squeue", "")
        self.says("scontrol", "")
        # what is cancelled leaves the queue: scancel drops its lines
        self.runs(
            "scancel",
            'for job in "$@"; do sed -i "/^${job%_*}|${job#*_}|/d" "$here/squeue.out"; done',
        )

    def says(self, program: str, text: str, *, code: int = 0) -> None:
        """Have a program print this and exit so."""
        (self.folder / f"{program}.out").write_text(text)
        self.runs(program, f'cat "$here/{program}.out"; exit {code}')

    def has(self, *jobs: QueuedJob) -> None:
        """Put jobs into the queue."""
        lines = [
            f"{j.array_job}|{'N/A' if j.task is None else j.task}|{j.state}|{j.reason}|{j.nodes}|"
            f"{j.start}|{j.partition}|{j.comment}\n"
            for j in jobs
        ]
        self.says("squeue", "".join(lines))

    @property
    def asked(self) -> list[str]:
        """Commands that were run, in order."""
        path = self.folder / "asked"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def environment(self) -> Mapping[str, str]:
        """For a subprocess."""
        return {"PATH": f"{self.folder}:{os.environ['PATH']}"}

    def runs(self, program: str, body: str) -> None:
        """Have a program do this; $here is the folder."""
        path = self.folder / program
        path.write_text(
            f'#!/bin/sh\nhere="{self.folder}"\necho "{program} $*" >>"$here/asked"\n{body}\n'
        )
        path.chmod(0o755)


def without_slurm(folder: Path) -> Mapping[str, str]:
    """The environment of a machine where none of Slurm's programs is installed."""
    folder.mkdir()
    return {"PATH": str(folder)}
