"""`rlavr logs RUN [-f]`: what the run's newest job has printed."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from rlavr_hpc.errors import ExitCode
from rlavr_hpc.overview.job_logs import Log, follow, last_lines, logs_of
from rlavr_hpc.overview.status_query import run_command

FOLLOWED = 20
"""Lines shown before what is new."""
DESCRIPTION = """\
Print the log of a run's newest job in Slurm: of rank 0, of another rank, or of the batch script
with srun's own words. Where the file is goes to stderr. With -f also what is written from now on,
across preemptions and requeues (they go on in the same file) and across a new submission, until
the run is done or Ctrl-C.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the log; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="rlavr logs",
        description=DESCRIPTION,
        epilog="Exit codes: 0 printed, 1 nothing was written yet, 2 this is no run of Slurm's.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("run", metavar="RUN", type=Path, help="the run's folder")
    add("-f", "--follow", action="store_true", help="go on with what is written")
    add("-n", "--lines", type=int, metavar="N", help="only the last N (-f begins with 20)")
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--rank", type=int, default=0, metavar="R", help="whose log (default 0)")
    who.add_argument("--batch", action="store_true", help="the batch script's")
    given = parser.parse_args(arguments)
    rank = None if given.batch else given.rank
    work = _follow if given.follow else _print
    return run_command(lambda: work(given.run, rank=rank, lines=given.lines))


def _print(run: Path, *, rank: int | None, lines: int | None) -> int:
    logs = logs_of(run, rank=rank)
    found = next((log for log in logs if log.exists), None)
    if found is None:
        waited = f"; {logs[0].path} comes when job {logs[0].job} starts" if logs else ""
        print(f"rlavr_hpc: {run} has no such log yet{waited}", file=sys.stderr)
        return ExitCode.FAILED
    if found != logs[0]:
        print(f"rlavr_hpc: job {logs[0].job} has not written yet; an older one's", file=sys.stderr)
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
        print(f"rlavr_hpc: {run} has written nothing yet; waiting", file=sys.stderr)
    try:
        for item in follow(run, rank=rank, offset=offset):
            if isinstance(item, Log):
                _say_where(item)
            else:
                sys.stdout.buffer.write(item)
                sys.stdout.buffer.flush()
    except KeyboardInterrupt:
        pass
    return ExitCode.DONE


def _say_where(log: Log) -> None:
    print(f"==> {log.path}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
