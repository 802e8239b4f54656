"""`rlavr rollback RUN [--to STEP]`: make a run continue from an earlier checkpoint."""

from __future__ import annotations

import argparse
import json
import socket
import time
from pathlib import Path

from rlavr_hpc.errors import ExitCode, UserError
from rlavr_hpc.runs.attempts import read_attempts
from rlavr_hpc.runs.branches import roll_back
from rlavr_hpc.runs.folder import read_config

ALIVE_SECONDS = 600.0
"""A heartbeat on another host that is younger than this means that the run may be going on."""
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
    config = read_config(run_dir)
    if not force and _alive(run_dir):
        raise UserError(
            f"{run_dir} seems to be running (status.json); stop it first, or say --force"
        )
    back = roll_back(run_dir, healthy_below=config.warning.healthy, to=to)
    where = f"after step {back.step}" if back.step else "from the start"
    return f"{run_dir}: branch {back.branch} continues {where} when the run is started again"


def _alive(run_dir: Path) -> bool:
    """Whether the last attempt's process runs on this host, or has lately said so elsewhere."""
    attempts = read_attempts(run_dir)
    if attempts and attempts[-1].host == socket.gethostname():
        return Path(f"/proc/{attempts[-1].pid}").exists()
    try:
        status = json.loads((run_dir / "status.json").read_text())
        running = status["state"] in ("starting", "running")
        return running and time.time() - float(status["time"]) < ALIVE_SECONDS
    except (OSError, ValueError, KeyError, TypeError):
        return False
