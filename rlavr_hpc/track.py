"""`python -m rlavr_hpc.track sync DIR...`: send to the dashboard what runs could not send."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rlavr_hpc.errors import ExitCode, RlavrError, UserError
from rlavr_hpc.telemetry.wandb_sync import find_runs, send, unsent

SYNC = """\
Send what runs with tracking=offline have put down, from a machine that has a network. A run's
attempts go in order, as one run. What was sent is marked and not sent again; an attempt that is
still being written is left for later, so that this may be repeated while runs go on.
"""
EXIT_CODES = "Exit codes: 0 all sent, 1 some runs failed, 2 nothing found or nobody logged in."


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the subcommand says; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m rlavr_hpc.track", description="The dashboard's mirror of runs."
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    sync = verbs.add_parser(
        "sync", help="send what runs without a network have put down", description=SYNC,
        epilog=EXIT_CODES, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    sync.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="run, sweep or root")
    sync.add_argument(
        "--timeout", type=float, default=1800.0, metavar="SECONDS",
        help="to wait for one run (default: %(default)g)",
    )  # fmt: skip
    sync.set_defaults(verb=_sync)
    given = parser.parse_args(arguments)
    try:
        return int(given.verb(given))
    except RlavrError as error:
        print(f"rlavr_hpc: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"rlavr_hpc: {error}", file=sys.stderr)
        return ExitCode.FAILED


def _sync(given: argparse.Namespace) -> ExitCode:
    """All runs are tried; without a login all would fail alike, so that ends it."""
    code = ExitCode.DONE
    for run_dir in find_runs(given.folders):
        try:
            print(f"{run_dir}: {_sync_run(run_dir, given.timeout)}", flush=True)
        except UserError:
            raise
        except (RlavrError, OSError) as error:
            print(f"{run_dir}: failed: {error}", flush=True)
            code = ExitCode.FAILED
    return code


def _sync_run(run_dir: Path, timeout: float) -> str:
    """Send a run; returns what was done."""
    ready = unsent(run_dir)
    if ready.files:
        send(ready, timeout=timeout)
    cut = sum(file.cut for file in ready.files)
    remarks = [
        (len(ready.files), "sent"),
        (cut, "of them without the end that a kill cut off"),
        (ready.empty, "empty after a kill"),
        (int(ready.growing), "still being written, left for later"),
    ]
    told = [f"{number} {said}" for number, said in remarks if number]
    return f"attempts: {', '.join(told)}" if told else "nothing new"


if __name__ == "__main__":
    sys.exit(main())
