"""`rlavr rollback RUN [--to STEP]`: make a run continue from an earlier checkpoint."""

from __future__ import annotations

import argparse
from pathlib import Path

from rlavr_hpc.cluster.slurm.commands import ask_queue
from rlavr_hpc.errors import ExitCode, UserError
from rlavr_hpc.runs.branches import roll_back
from rlavr_hpc.runs.find import find_runs, is_run
from rlavr_hpc.runs.folder import read_config
from rlavr_hpc.runs.state_types import ACTIVE_STATES, State
from rlavr_hpc.runs.states import run_state

DESCRIPTION = """\
Make a run continue from an earlier checkpoint, on a new branch. The branch has other batches and
other random numbers, so that the same collapse does not repeat. It begins when the run is started
again. Labels and metrics of the old branch stay on record, and the labels count as spent; with
reuse_labels=true they can be used again.
"""
EPILOG = """\
Examples:
  rlavr rollback runs/study-0a1b2c3d
  rlavr rollback runs/study-0a1b2c3d --to 50

Exit codes: 0 done, 1 failed, 2 your mistake: no run, no such checkpoint, or the run is running.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `rlavr rollback`."""
    parser.add_argument("run", type=Path, metavar="RUN", help="the run's folder")
    parser.add_argument(
        "--to",
        type=int,
        metavar="STEP",
        help="step of a checkpoint, or 0 for the start (default: the newest checkpoint whose risk "
        "of collapse is below warning.healthy)",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="also if the run seems to be running; it then ends with exit code 77",
    )


def run(given: argparse.Namespace) -> int:
    """Roll back; returns the exit code."""
    print(_roll_back(given.run, to=given.to, force=given.force))
    return ExitCode.DONE


def _roll_back(run_dir: Path, *, to: int | None, force: bool) -> str:
    if not is_run(run_dir) and (below := [found.name for found in find_runs(run_dir)]):
        raise UserError(f"{run_dir} holds {len(below)} runs; name one, e.g. {run_dir / below[0]}")
    config = read_config(run_dir)
    now = run_state(run_dir, queue=ask_queue()[0])
    if not force and now.state in (*ACTIVE_STATES, State.unknown):
        where = f" on {now.node}" if now.node else ""
        detail = f" ({now.reason})" if now.reason else ""
        raise UserError(
            f"{run_dir} is {now.state}{where}{detail}; a process may still write into it. Stop it "
            "first, or say --force"
        )
    back = roll_back(run_dir, healthy_below=config.warning.healthy, to=to)
    where = f"after step {back.step}" if back.step else "from the start"
    return f"{run_dir}: branch {back.branch} continues {where} when the run is started again"
