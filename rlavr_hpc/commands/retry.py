"""`rlavr retry DIR...`: submit runs again that failed or were cancelled."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rlavr_hpc.cluster.slurm.resubmit import submit_again
from rlavr_hpc.errors import ExitCode
from rlavr_hpc.overview.status_query import query_status, run_command
from rlavr_hpc.overview.status_table import summary
from rlavr_hpc.runs.state_types import State

DESCRIPTION = """\
Submit runs of a Slurm sweep again: of a sweep (or a folder with sweeps in it) those that failed or
were cancelled, of a run's folder that run, also where it was stopped or never came into the queue.
With the settings they were submitted with, and the program as it is now. They go on from their
newest checkpoint; labels that were bought stay bought.
"""
EPILOG = """\
Exit codes: 0 submitted or nothing to do, 1 Slurm refused, 2 there is no run, or it is not to be
submitted again.
"""
AGAIN = (State.failed, State.cancelled)


def main(arguments: Sequence[str] | None = None) -> int:
    """Submit; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="rlavr retry",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folders", metavar="DIR", nargs="+", type=Path)
    given = parser.parse_args(arguments)
    return run_command(lambda: _retry(given.folders))


def _retry(folders: Sequence[Path]) -> int:
    chosen: list[Path] = []
    for folder in folders:
        runs = query_status(folder).runs
        if len(runs) == 1 and runs[0].run.resolve() == folder.resolve():
            chosen.append(folder)
            continue
        again = [run.run for run in runs if run.state in AGAIN]
        if not again:
            print(f"{folder}: nothing failed or was cancelled. {summary(runs)}")
        chosen += again
    submit_again(chosen)
    return ExitCode.DONE


if __name__ == "__main__":
    sys.exit(main())
