"""`rlavr rollback RUN_DIR [--to STEP]`: go on from an earlier checkpoint."""

from __future__ import annotations

import argparse
import json
import socket
import sys
import time
from pathlib import Path

from rlavr_hpc.errors import ExitCode, RlavrError, UserError
from rlavr_hpc.runs.attempts import read_attempts
from rlavr_hpc.runs.branches import roll_back
from rlavr_hpc.runs.folder import read_config

ALIVE_SECONDS = 600.0
"""A heartbeat on another host that is younger than this means that the run may be going on."""
DESCRIPTION = """\
Have a run go on from an earlier checkpoint, on a new branch: with other batches and other noise,
so that the same collapse does not repeat. The next start of the run begins there. What was bought
and measured on the old branch stays on record and counts as spent; labels stay owned where
reuse_labels=true.
"""


def main() -> int:
    """Roll back; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="rlavr rollback",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run_dir", type=Path)
    parser.add_argument(
        "--to",
        type=int,
        metavar="STEP",
        help="a step with a checkpoint, or 0 for the start (default: the newest checkpoint whose "
        "risk of collapse is below warning.healthy)",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="also when the run seems to be going on: it ends with exit code 77",
    )
    given = parser.parse_args()
    try:
        print(_roll_back(given.run_dir, to=given.to, force=given.force))
    except RlavrError as error:
        print(f"rlavr_hpc: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"rlavr_hpc: {error}", file=sys.stderr)
        return ExitCode.FAILED
    return ExitCode.DONE


def _roll_back(run_dir: Path, *, to: int | None, force: bool) -> str:
    config = read_config(run_dir)
    if not force and _alive(run_dir):
        raise UserError(
            f"{run_dir} seems to be running (status.json); stop it first, or say --force"
        )
    back = roll_back(run_dir, healthy_below=config.warning.healthy, to=to)
    where = f"after step {back.step}" if back.step else "from the start"
    return f"{run_dir}: branch {back.branch} goes on {where} when the run is started again"


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


if __name__ == "__main__":
    sys.exit(main())
