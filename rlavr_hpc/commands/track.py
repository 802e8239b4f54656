"""`rlavr track sync|rebuild|dashboard`: send runs to the dashboard, or rebuild them there."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from rlavr_hpc.acquisition.ledger import read_ledger
from rlavr_hpc.cluster.slurm.commands import ask_queue
from rlavr_hpc.errors import ExitCode, RlavrError, UserError
from rlavr_hpc.runs.attempts import read_attempts
from rlavr_hpc.runs.find import find_runs as find_recorded
from rlavr_hpc.runs.find import is_run
from rlavr_hpc.runs.folder import read_config
from rlavr_hpc.runs.queued_job import QueuedJob
from rlavr_hpc.telemetry.sinks import read_line
from rlavr_hpc.telemetry.tensorboard.events import write_events
from rlavr_hpc.telemetry.wandb.identity import dashboard_id, dashboard_of
from rlavr_hpc.telemetry.wandb.rebuild import check_suffix, rebuild
from rlavr_hpc.telemetry.wandb.sections import sections
from rlavr_hpc.telemetry.wandb.sync import find_runs, send, unsent
from rlavr_hpc.telemetry.wandb.workspace import build_workspace, save_workspace
from rlavr_hpc.trainer.reporting.outcome import outcome_of, read_summary

Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

DESCRIPTION = """\
The dashboard (Weights & Biases) shows a copy of a run's metrics; the run's folder is the record.
"""
EPILOG = """\
Examples:
  rlavr track sync runs
  rlavr track rebuild runs/study-0a1b2c3d --tensorboard events
  rlavr track dashboard --project rlavr_hpc

Exit codes: 0 done, 1 some runs failed, 2 nothing found, nobody logged in, or your mistake.
"""
SYNC = """\
Send what runs with tracking=offline have recorded, from a machine with a network. The attempts of a
run are sent in order, as one run. What was sent is marked and not sent again; an attempt that is
still being written is skipped, so the command can be repeated while runs are running.
"""
SYNC_EPILOG = """\
Examples:
  rlavr track sync runs

Exit codes: 0 all sent, 1 some runs failed, 2 nothing found, or nobody logged in.
"""
REBUILD = """\
Rebuild runs on the dashboard from their folders alone: metrics, tables of example rollouts, config,
spend and summary. A rebuilt run gets a new id, the old one with a suffix, because a dashboard never
replaces what it has. Offline, the files are written beside those of the run's attempts, and
`rlavr track sync` sends them.
"""
REBUILD_EPILOG = """\
Examples:
  rlavr track rebuild runs/study-0a1b2c3d
  rlavr track rebuild runs/study-0a1b2c3d --tensorboard events

Exit codes: 0 all rebuilt, 1 some runs failed, 2 nothing found, or your mistake.
"""
DASHBOARD = """\
Create a view of a project: budget sweep, collapse, acquisition, throughput and health, with runs
grouped by policy and budget. Needs the package wandb-workspaces.
"""
DASHBOARD_EPILOG = """\
Examples:
  rlavr track dashboard --project rlavr_hpc --dry-run

Exit codes: 0 done, 1 failed, 2 your mistake.
"""
END = {"done": ExitCode.DONE, "failed": ExitCode.FAILED}
"""How a run ended, by the status in its summary; any other goes on later."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `rlavr track`."""
    verbs = parser.add_subparsers(dest="action", required=True, metavar="sync|rebuild|dashboard")
    _add_sync(verbs)
    _add_rebuild(verbs)
    _add_dashboard(verbs)


def run(given: argparse.Namespace) -> int:
    """Do what the subcommand says; returns the exit code."""
    return {"sync": _sync, "rebuild": _rebuild, "dashboard": _dashboard}[given.action](given)


def _add_sync(verbs: Verbs) -> None:
    sync = verbs.add_parser(
        "sync",
        help="send what runs without a network have recorded",
        description=SYNC,
        epilog=SYNC_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sync.add_argument(
        "folders",
        nargs="+",
        type=Path,
        metavar="DIR",
        help="a run, a sweep, or a folder with runs below",
    )
    sync.add_argument(
        "--timeout",
        type=float,
        default=1800.0,
        metavar="SECONDS",
        help="longest time for one run (default: %(default)g)",
    )


def _add_rebuild(verbs: Verbs) -> None:
    rebuilt = verbs.add_parser(
        "rebuild",
        help="rebuild runs there from their folders",
        description=REBUILD,
        epilog=REBUILD_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    rebuilt.add_argument(
        "folders",
        nargs="+",
        type=Path,
        metavar="DIR",
        help="a run, a sweep, or a folder with runs below",
    )
    target = rebuilt.add_mutually_exclusive_group()
    target.add_argument("--offline", action="store_true", help="write files for `sync` (default)")
    target.add_argument("--to", choices=["wandb"], help="send straight to the dashboard")
    target.add_argument(
        "--tensorboard", type=Path, metavar="OUT", help="write TensorBoard event files to OUT/RUN"
    )
    rebuilt.add_argument(
        "--as",
        dest="suffix",
        default="rebuilt",
        metavar="SUFFIX",
        help="suffix of the run's id (default: %(default)s)",
    )


def _add_dashboard(verbs: Verbs) -> None:
    view = verbs.add_parser(
        "dashboard",
        help="create a view of a project there",
        description=DASHBOARD,
        epilog=DASHBOARD_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    view.add_argument("--project", required=True, metavar="P", help="the project")
    view.add_argument("--entity", metavar="E", help="user or team (default: yours)")
    view.add_argument(
        "--samples", type=int, default=8, metavar="N", help="eval.samples of its runs (default: 8)"
    )
    view.add_argument("--dry-run", action="store_true", help="only print what it would show")


def _sync(given: argparse.Namespace) -> ExitCode:
    """All runs are tried; without a login all would fail alike, so that ends it."""
    code = ExitCode.DONE
    queue, _ = ask_queue()
    for run_dir in find_runs(given.folders):
        try:
            print(f"{run_dir}: {_sync_run(run_dir, given.timeout, queue)}", flush=True)
        except UserError:
            raise
        except (RlavrError, OSError) as error:
            print(f"{run_dir}: failed: {error}", flush=True)
            code = ExitCode.FAILED
    return code


def _sync_run(run_dir: Path, timeout: float, queue: Sequence[QueuedJob] | None) -> str:
    """Send a run; returns what was done."""
    ready = unsent(run_dir, queue=queue)
    if ready.files:
        send(ready, timeout=timeout)
    cut = sum(file.cut for file in ready.files)
    remarks = [
        (len(ready.files), "sent"),
        (cut, "of them without the end that a kill cut off"),
        (ready.empty, "empty after a kill"),
        (int(ready.growing), "still being written, left for later"),
    ]
    text = ", ".join(f"{number} {said}" for number, said in remarks if number)
    return f"attempts: {text}" if text else "nothing new"


def _rebuild(given: argparse.Namespace) -> ExitCode:
    """All runs are tried; a run of another kind of trouble stops no other."""
    check_suffix(given.suffix)
    code = ExitCode.DONE
    for name, run_dir in _recorded(given.folders):
        try:
            print(f"{run_dir}: {_rebuild_run(run_dir, name, given)}", flush=True)
        except (RlavrError, OSError) as error:
            print(f"{run_dir}: failed: {error}", flush=True)
            code = ExitCode.FAILED
    return code


def _recorded(folders: Sequence[Path]) -> list[tuple[str, Path]]:
    """(name, folder) of the runs at or below `folders`."""
    if missing := [str(folder) for folder in folders if not folder.is_dir()]:
        raise UserError(f"{', '.join(missing)}: no such folder")
    runs: dict[Path, str] = {}
    for top in folders:
        runs |= {found.folder: found.name for found in find_recorded(top) if is_run(found.folder)}
    if not runs:
        raise UserError(f"no run below {', '.join(map(str, folders))}; give a run, sweep or root")
    return [(name, folder) for folder, name in runs.items()]


def _rebuild_run(run_dir: Path, name: str, given: argparse.Namespace) -> str:
    """Rebuild a run; returns what was made."""
    if given.tensorboard is not None:
        folder = given.tensorboard / name
        return f"{write_events(folder, read_line(run_dir))} rows in {folder}"
    config, attempts = read_config(run_dir), read_attempts(run_dir)
    if not attempts:
        raise UserError(f"{run_dir}/attempts is empty: the run has not begun")
    summary = read_summary(run_dir)
    dashboard = replace(
        dashboard_of(config, f"{dashboard_id(config.name, attempts[0])}-{given.suffix}"),
        mode="online" if given.to else "offline",
        new=True,
    )
    made = rebuild(
        run_dir,
        dashboard,
        outcome_of(run_dir, config, read_ledger(run_dir), summary),
        code=END.get(str(summary.get("status")), ExitCode.STOPPED),
    )
    return f"{made.rows} rows as {made.run_id}"


def _dashboard(given: argparse.Namespace) -> ExitCode:
    """Say what the view shows, and make it."""
    shown = sections(samples=given.samples)
    for section in shown:
        print(f"{section.name}: {', '.join(panel.title for panel in section.panels)}")
    if given.dry_run:
        return ExitCode.DONE
    workspace = build_workspace(shown, project=given.project, entity=given.entity)
    print(save_workspace(workspace))
    return ExitCode.DONE
