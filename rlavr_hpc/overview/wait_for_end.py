"""Staying until the last run of a sweep has ended, without accounting and without holding jobs."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rlavr_hpc.errors import ExitCode
from rlavr_hpc.overview.status_query import query_status
from rlavr_hpc.overview.status_table import as_table, summary
from rlavr_hpc.runs.state_types import State, WaitsIn
from rlavr_hpc.runs.states import RunState

SECONDS = 3.0
CLEAR = "\033[H\033[2J\033[3J"
CODES = {
    State.done: ExitCode.DONE,
    State.stopped: ExitCode.STOPPED,
    State.planned: ExitCode.STOPPED,
    State.failed: ExitCode.FAILED,
    State.cancelled: ExitCode.FAILED,
    State.unknown: ExitCode.FAILED,
}
"""Of runs that nothing moves any more."""


def end_code(run: RunState) -> ExitCode | None:
    """How a run ended; None while it goes on, or waits for what may still come.

    A run that waits for labels in memory goes on by itself, and one whose job is held when the
    bridge, or anybody, releases it. Nothing but its command moves one that is parked without a job.
    """
    if run.waits_in is WaitsIn.folder:
        return ExitCode.WAITING_FOR_LABELS
    return CODES.get(run.state)


def wait(sweeps: Sequence[Path], *, seconds: float = SECONDS) -> list[ExitCode]:
    """Show the runs until none waits or runs; Ctrl-C leaves, and leaves the jobs alone.

    Args:
        sweeps: their folders.
        seconds: between two looks.

    Returns:
        Per run how it ended.
    """
    shown = ""
    try:
        while True:
            looks = [query_status(sweep) for sweep in sweeps]
            runs = [run for seen in looks for run in seen.runs]
            shown = _show(sweeps, runs, shown)
            unsure = any(seen.note for seen in looks)  # Slurm did not answer this time
            codes = [code for run in runs if (code := end_code(run)) is not None]
            if not unsure and len(codes) == len(runs):
                return codes
            time.sleep(seconds)
    except KeyboardInterrupt:
        print("\nthe jobs continue; `rlavr status` shows them", file=sys.stderr)
        return [ExitCode.DONE]


def _show(sweeps: Sequence[Path], runs: Sequence[RunState], shown: str) -> str:
    """The whole table on a terminal, else one line whenever something has changed."""
    if sys.stdout.isatty():
        print(CLEAR + as_table(runs, str(sweeps[0]), width=None, colour=True), flush=True)
        return ""
    text = summary(runs)
    if text != shown:
        print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)
    return text
