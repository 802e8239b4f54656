"""`rlavr status DIR`: where a run, a sweep, or every sweep in a folder stands."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rlavr_hpc.errors import ExitCode
from rlavr_hpc.overview.status_query import StatusReport, query_status, run_command
from rlavr_hpc.overview.status_table import as_fields, as_table

WATCH_SECONDS = 5.0
CLEAR = "\033[H\033[2J\033[3J"
DESCRIPTION = """\
Show where every run of DIR (a run's folder, a sweep's, or a folder with sweeps in it) stands, from
the run folders and one look at Slurm's queue; without Slurm, from the folders alone.
"""
EPILOG = """\
states: planned (not submitted), queued, running, preempted and requeued (wait to go on), stalled
(its job runs, but has been silent for far too long), zombie (goes on although Slurm says that its
job does not run), failed, cancelled, stopped (by a signal or the early warning), done.

--json prints one object per run and line: run (folder), name (relative to DIR), overrides (those
that differ within the sweep), state, step, steps, eta_seconds, labels_bought, labels_allowed (over
the whole run), accuracy (held-out mean@n of the last evaluation), risk (of collapse), attempts,
node, job (A_T), reason (in words), heartbeat_age (seconds). What is not known is null.

Exit codes: 0 shown, 2 there is no run.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Show the states; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="rlavr status",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", metavar="DIR", help="a run, a sweep, or a folder of sweeps")
    parser.add_argument("--watch", action="store_true", help="again every 5 seconds, until Ctrl-C")
    parser.add_argument("--json", action="store_true", help="for programs")
    given = parser.parse_args(arguments)
    work = _watch if given.watch else _show
    return run_command(lambda: work(given.folder, as_json=given.json))


def _show(folder: str, *, as_json: bool) -> int:
    print(_text(folder, query_status(Path(folder)), as_json=as_json))
    return ExitCode.DONE


def _watch(folder: str, *, as_json: bool) -> int:
    try:
        while True:
            text = _text(folder, query_status(Path(folder)), as_json=as_json)
            print((CLEAR if sys.stdout.isatty() else "") + text, flush=True)
            time.sleep(WATCH_SECONDS)
    except KeyboardInterrupt:
        return ExitCode.DONE


def _text(folder: str, seen: StatusReport, *, as_json: bool) -> str:
    if seen.note:
        print(f"rlavr_hpc: {seen.note}", file=sys.stderr)
    if as_json:
        return "\n".join(json.dumps(as_fields(run)) for run in seen.runs)
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if terminal else None
    colour = terminal and "NO_COLOR" not in os.environ
    return as_table(seen.runs, folder, width=width, colour=colour)


if __name__ == "__main__":
    sys.exit(main())
