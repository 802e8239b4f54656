"""`rlavr logs RUN [-f]`: print the log of a run's newest job."""

from __future__ import annotations

import argparse
import shutil
import sys
from contextlib import suppress
from pathlib import Path

from rlavr_hpc.errors import ExitCode
from rlavr_hpc.overview.job_logs import JobLog, follow, last_lines, logs_of

FOLLOWED = 20
"""Lines shown before what is new."""
DESCRIPTION = """\
Print the log of a run's newest Slurm job: of rank 0, of another rank, or of the batch script with
srun's messages. The path of the file is printed to stderr. With -f new lines are printed as they
are written, across preemption, requeues and a new submission, until the run is done or Ctrl-C.
"""
EPILOG = """\
Examples:
  rlavr logs runs/study/0a1b2c3d -n 50
  rlavr logs runs/study/0a1b2c3d -f

Exit codes: 0 printed, 1 nothing was written yet, 2 this is not a run of a Slurm sweep.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `rlavr logs`."""
    add = parser.add_argument
    add("run", metavar="RUN", type=Path, help="the run's folder")
    add("-f", "--follow", action="store_true", help="keep printing new lines")
    add(
        "-n",
        "--lines",
        type=int,
        metavar="N",
        help="only the last N lines (with -f: 20 by default)",
    )
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--rank", type=int, default=0, metavar="R", help="rank (default: 0)")
    who.add_argument("--batch", action="store_true", help="the batch script's log instead")


def run(given: argparse.Namespace) -> int:
    """Print the log; returns the exit code."""
    rank = None if given.batch else given.rank
    work = _follow if given.follow else _print
    return work(given.run, rank=rank, lines=given.lines)


def _print(run: Path, *, rank: int | None, lines: int | None) -> int:
    logs = logs_of(run, rank=rank)
    found = next((log for log in logs if log.exists), None)
    if found is None:
        waited = f"; {logs[0].path} appears when job {logs[0].job} starts" if logs else ""
        print(f"rlavr: {run} has no such log yet{waited}", file=sys.stderr)
        return ExitCode.FAILED
    if found != logs[0]:
        print(f"rlavr: job {logs[0].job} has no log yet; an older job's:", file=sys.stderr)
    _say_where(found)
    if lines is not None:
        print("\n".join(last_lines(found.path, lines)))
        return ExitCode.DONE
    sys.stdout.flush()
    with found.path.open("rb") as file:
        shutil.copyfileobj(file, sys.stdout.buffer)
    return ExitCode.DONE


def _follow(run: Path, *, rank: int | None, lines: int | None) -> int:
    found = next((log for log in logs_of(run, rank=rank) if log.exists), None)
    offset = 0
    if found is not None:
        offset = found.path.stat().st_size
        shown = last_lines(found.path, FOLLOWED if lines is None else lines, until=offset)
        print("\n".join(shown), flush=True)
    else:
        print(f"rlavr: {run} has written nothing yet; waiting", file=sys.stderr)
    with suppress(KeyboardInterrupt):  # how following ends
        for item in follow(run, rank=rank, offset=offset):
            if isinstance(item, JobLog):
                _say_where(item)
            else:
                sys.stdout.buffer.write(item)
                sys.stdout.buffer.flush()
    return ExitCode.DONE


def _say_where(log: JobLog) -> None:
    print(f"==> {log.path}", file=sys.stderr, flush=True)
