"""Makes a run on the dashboard anew, from its record alone.

Under another id, because a dashboard keeps what it has: it drops rows below the last one, never
takes back an id that was deleted, and what stands there may be all that somebody has seen.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rlavr_hpc.config.tracking import check_dashboard_name
from rlavr_hpc.errors import RlavrError, UserError
from rlavr_hpc.runs.attempts import read_attempts
from rlavr_hpc.telemetry.outcome import RunOutcome
from rlavr_hpc.telemetry.sinks import read_metrics
from rlavr_hpc.telemetry.wandb.connection import (
    Dashboard,
    DashboardRun,
    end_wandb,
    start_wandb,
)
from rlavr_hpc.telemetry.wandb.files import read_rows, wandb_files
from rlavr_hpc.telemetry.wandb.rows import catch_up, end_run

SUFFIX = re.compile(r"[A-Za-z0-9_-]{1,40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """What was made."""

    run_id: str
    rows: int


def rebuild(
    run_dir: Path,
    dashboard: Dashboard,
    outcome: RunOutcome,
    *,
    code: int,
    start: Callable[[Path, Dashboard], DashboardRun] = start_wandb,
) -> Rebuilt:
    """Show a run from its record: rows, tables of examples, artifacts, summary.

    Args:
        run_dir: the run's folder; offline files go there, as those of its attempts do.
        dashboard: where; its id must be new.
        outcome: what is stored besides the rows.
        code: how the run ended.
        start: opens the run.

    Raises:
        UserError: nothing is on record, the project's name is none for wandb, or the run was
            rebuilt under this id before.
        RlavrError: the record is damaged, or not every row arrived in the offline files.
    """
    check_dashboard_name("tracking.project", dashboard.project)
    record = read_metrics(run_dir)
    if not record:
        raise UserError(f"{run_dir}/metrics has no row, so there is nothing to show")
    if wandb_files(run_dir, run_id=dashboard.run_id):
        raise UserError(
            f"{run_dir}/wandb holds files of {dashboard.run_id} already; choose another suffix "
            "with --as, or delete them"
        )
    branches = read_attempts(run_dir)[-1].branch + 1
    try:
        run = start(run_dir, dashboard)
        catch_up(run, run_dir, dashboard, branches=branches)
        end_run(run, code, outcome)
    except (RlavrError, OSError):
        raise
    except Exception as error:  # wandb's own are of many kinds
        raise RlavrError(
            f"wandb: {type(error).__name__}: {error}; `wandb login` or WANDB_API_KEY says who you "
            "are"
        ) from error
    finally:
        end_wandb()
    if dashboard.mode == "offline":
        _check_arrived(run_dir, dashboard.run_id, expected=len(record))
    return Rebuilt(run_id=dashboard.run_id, rows=len(record))


def _check_arrived(run_dir: Path, run_id: str, *, expected: int) -> None:
    files = wandb_files(run_dir, run_id=run_id)
    there = sum(1 for path in files for _ in read_rows(path))
    if there != expected:
        raise RlavrError(
            f"{run_dir}/wandb has {there} rows of {run_id}, the record has {expected}; delete them "
            "and try again"
        )


def check_suffix(suffix: str) -> None:
    """Raise UserError when `suffix` cannot be part of a run's id."""
    if not SUFFIX.fullmatch(suffix):
        raise UserError(
            f"--as {suffix!r} must have 1 to 40 letters, digits, - and _: it becomes part of the "
            "run's id"
        )
