"""`rlavr retry DIR...`: submit runs again that failed or were cancelled."""

from __future__ import annotations

import argparse
from pathlib import Path

from rlavr_hpc.cluster.slurm.resubmit import submit_again
from rlavr_hpc.errors import ExitCode
from rlavr_hpc.overview.status_query import query_status
from rlavr_hpc.overview.status_table import summary
from rlavr_hpc.runs.state_types import State

DESCRIPTION = """\
Submit runs of a Slurm sweep again. Of a sweep, or a folder with sweeps in it, those that failed or
were cancelled are submitted. A run that is named by its own folder is also submitted if it was
stopped or never entered the queue. Slurm settings stay as they were; the code is the present one.
Runs continue from their newest checkpoint, and labels that were bought are not bought again.
"""
EPILOG = """\
Examples:
  rlavr retry runs/study
  rlavr retry runs/study/0a1b2c3d

Exit codes: 0 submitted, or nothing to do, 1 Slurm refused, 2 no run found, or the run cannot be
submitted again.
"""
AGAIN = (State.failed, State.cancelled)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `rlavr retry`."""
    parser.add_argument(
        "folders",
        metavar="DIR",
        nargs="+",
        type=Path,
        help="a run, a sweep, or a folder with sweeps in it",
    )


def run(given: argparse.Namespace) -> int:
    """Submit; returns the exit code."""
    chosen: list[Path] = []
    for folder in given.folders:
        runs = query_status(folder).runs
        if len(runs) == 1 and runs[0].run.resolve() == folder.resolve():
            chosen.append(folder)
            continue
        again = [one.run for one in runs if one.state in AGAIN]
        if not again:
            print(f"{folder}: nothing failed or was cancelled. {summary(runs)}")
        chosen += again
    submit_again(chosen)
    return ExitCode.DONE
