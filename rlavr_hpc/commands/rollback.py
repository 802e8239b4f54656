"""`rlavr rollback RUN [--to STEP | --undo]`: make a run continue from an earlier checkpoint."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from rlavr_hpc.cluster.slurm.commands import ask_queue
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.errors import ExitCode, UserError
from rlavr_hpc.runs.attempts import read_attempts
from rlavr_hpc.runs.branches import roll_back, undo_roll_back
from rlavr_hpc.runs.checkpoints import candidates
from rlavr_hpc.runs.find import find_runs, is_run
from rlavr_hpc.runs.folder import read_config
from rlavr_hpc.runs.state_types import State
from rlavr_hpc.runs.states import run_state
from rlavr_hpc.telemetry.sinks import read_line

DESCRIPTION = """\
Make a run continue from an earlier checkpoint, on a new branch. The branch has other batches and
other random numbers, so that the same collapse does not repeat. It begins when the run is started
again. Labels and metrics of the old branch stay on record, and the labels count as spent; with
reuse_labels=true they can be used again. Until the new branch has begun, --undo brings the run back
to where it stood.
"""
EPILOG = """\
Examples:
  rlavr rollback runs/study-0a1b2c3d
  rlavr rollback runs/study-0a1b2c3d --to 50
  rlavr rollback runs/study-0a1b2c3d --undo

Exit codes: 0 done, 1 failed, 2 your mistake: no run, no such checkpoint, nothing to undo, the run
is running, or nothing but the start to go back to and neither --yes nor --to 0.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `rlavr rollback`."""
    parser.add_argument("run", type=Path, metavar="RUN", help="the run's folder")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--to",
        type=int,
        metavar="STEP",
        help="step of a checkpoint, or 0 for the start (default: the newest checkpoint whose risk "
        "of collapse is below warning.healthy and whose held-out accuracy is within the noise of "
        "the best)",
    )
    which.add_argument(
        "--undo", action="store_true", help="take back the last roll-back, if nothing ran since"
    )
    parser.add_argument(
        "--yes",
        action="store_true",
        help="do not ask before going back to the start because no other checkpoint is healthy",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="also if the run seems to be running; it then ends with exit code 77",
    )


def run(given: argparse.Namespace) -> int:
    """Roll back, or take it back; returns the exit code."""
    run_dir = given.run
    config = _config_of_idle(run_dir, force=given.force)
    if given.undo:
        print(_undo(run_dir))
        return ExitCode.DONE
    healthy = config.warning.healthy
    ask = None if given.yes else partial(_ask, run_dir)
    back = roll_back(run_dir, healthy_below=healthy, to=given.to, before_start=ask)
    where = f"after step {back.step}" if back.step else "from the start"
    print(f"{run_dir}: branch {back.branch} continues {where} when the run is started again")
    if back.step >= config.steps:
        print(f"that is its last step; start it with steps above {config.steps} to train on")
    print(f"until then, this takes it back: rlavr rollback {run_dir} --undo")
    return ExitCode.DONE


def _config_of_idle(run_dir: Path, *, force: bool) -> RunConfig:
    """The config of a run that no process writes into."""
    if not is_run(run_dir) and (below := [found.name for found in find_runs(run_dir)]):
        raise UserError(f"{run_dir} holds {len(below)} runs; name one, e.g. {run_dir / below[0]}")
    config = read_config(run_dir)
    now = run_state(run_dir, queue=ask_queue()[0])
    if not force and (now.is_active or now.state is State.unknown):
        where = f" on {now.node}" if now.node else ""
        detail = f" ({now.reason})" if now.reason else ""
        raise UserError(
            f"{run_dir} is {now.state}{where}{detail}; a process may still write into it. Stop it "
            "first, or say --force"
        )
    return config


def _ask(run_dir: Path) -> None:
    """Ask before everything that was trained is left behind.

    Raises:
        UserError: the answer is no, or nobody is there to answer.
    """
    attempts = read_attempts(run_dir)
    if not attempts or not read_line(run_dir):
        return  # nothing was trained
    kept = ", ".join(str(found.state.step) for found in candidates(run_dir)) or "none"
    said = (
        f"{run_dir} has no older checkpoint to go back to that is healthy (checkpoints: {kept}), "
        "so it would begin again from the start"
    )
    if not sys.stdin.isatty():
        raise UserError(f"{said}; say --yes if it should, or --to STEP")
    if input(f"{said}. Go on? [y/N] ").strip().lower() not in ("y", "yes"):
        raise UserError("nothing was changed")


def _undo(run_dir: Path) -> str:
    undone = undo_roll_back(run_dir)
    stands = (
        "is finished again"
        if undone.finished
        else f"continues after step {undone.step} when it is started again"
        if undone.step
        else "continues from the start when it is started again"
    )
    return f"{run_dir}: the roll-back is undone; branch {undone.branch} {stands}"
