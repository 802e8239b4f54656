"""`rlavr status DIR`: show the state and progress of runs and sweeps."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from pathlib import Path

from rlavr_hpc.errors import ExitCode
from rlavr_hpc.overview.status_query import StatusReport, query_status
from rlavr_hpc.overview.status_table import as_fields, as_table

WATCH_SECONDS = 5.0
CLEAR = "\033[H\033[2J\033[3J"
DESCRIPTION = """\
Show the state and progress of every run in DIR, from the run folders and one query of Slurm's
queue; without Slurm, from the folders alone.
"""
EPILOG = """\
States: planned (not submitted), queued, running, preempted and requeued (will continue), waiting
for labels (in memory, or parked: its job is held, or nothing but its folder is left), stalled
(its job runs, but has written nothing for too long), zombie (still runs although Slurm says that
its job does not), failed, cancelled, stopped (by a signal or the early warning), done,
unknown (its folder or its heartbeat cannot be read).

--json prints one object per run and line: run (folder), name (relative to DIR), overrides (those
that differ within the sweep), state, step, steps, eta_seconds, labels_bought, labels_allowed (over
the whole run), accuracy (held-out mean@n of the last evaluation), risk (of collapse), attempts,
node, job (A_T), reason (in words), heartbeat_age (seconds), note (what is wrong with its steps, and
what mends it; "" = nothing), and of a run that waits for labels: pending (how many; as of its
parking), pending_since (unix time), source (whom it asked), waits_in (memory, queue: its job is
held, folder: its command goes on). What is not known is null.

Examples:
  rlavr status runs
  rlavr status runs/study --watch

Exit codes: 0 shown, 2 no run found.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `rlavr status`."""
    parser.add_argument(
        "folder", metavar="DIR", help="a run, a sweep, or a folder with sweeps in it"
    )
    parser.add_argument("--watch", action="store_true", help="repeat every 5 s, until Ctrl-C")
    parser.add_argument("--json", action="store_true", help="print JSON lines")


def run(given: argparse.Namespace) -> int:
    """Show the states; returns the exit code."""
    work = _watch if given.watch else _show
    return work(given.folder, as_json=given.json)


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
    if seen.caution:
        print(f"rlavr: {seen.caution}", file=sys.stderr)
    if as_json:
        return "\n".join(json.dumps(as_fields(run)) for run in seen.runs)
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if terminal else None
    colour = terminal and "NO_COLOR" not in os.environ
    return as_table(seen.runs, folder, width=width, colour=colour)
