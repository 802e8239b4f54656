"""Which rows a run on the dashboard gets, and under which numbers: each row of the record once."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

from rlavr_hpc.errors import ExitCode, RlavrError
from rlavr_hpc.telemetry.examples.record import Example, read_examples
from rlavr_hpc.telemetry.examples.table import Table, as_table
from rlavr_hpc.telemetry.outcome import RunOutcome
from rlavr_hpc.telemetry.sinks import read_metrics
from rlavr_hpc.telemetry.wandb.connection import Dashboard, DashboardRun
from rlavr_hpc.telemetry.wandb.files import read_wandb_file, wandb_files

FOR_RECORD_ONLY = ("v", "time")
TIME = "_timestamp"
"""wandb's name for when a row was made."""

log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class RowSender:
    """Sends rows in their order, and none that the dashboard has."""

    run: DashboardRun
    first: list[int]
    """See `first_indices`."""
    lacking: int
    """The first internal step that is not there."""
    share_labels: bool
    _examples: dict[tuple[int, int], list[Example]] = field(default_factory=dict)

    def keep(self, examples: Iterable[Example]) -> None:
        """Have a step's examples go out with its row."""
        found: dict[tuple[int, int], list[Example]] = {}
        for example in examples:
            found.setdefault((example.branch, example.step), []).append(example)
        self._examples |= found

    def send(self, row: Mapping[str, Any]) -> None:
        """Send a row with its table, unless it is there.

        It is when a step was done again, or when an earlier attempt got it out; its table went in
        the same record, so it is there as well.
        """
        examples = self._examples.pop((row["branch"], row["step"]), None)
        index = self.first[row["branch"]] + row["step"]
        if index < self.lacking:
            return
        shown = {name: value for name, value in row.items() if name not in FOR_RECORD_ONLY}
        if "time" in row:
            shown[TIME] = row["time"]
        self.run.log(shown, index, examples=self._table(examples))
        self.lacking = index + 1

    def _table(self, examples: list[Example] | None) -> Table | None:
        table = as_table(examples or (), share_labels=self.share_labels)
        return table if table.rows else None


def catch_up(run: DashboardRun, run_dir: Path, dashboard: Dashboard, *, branches: int) -> RowSender:
    """Send what is on record and not on the dashboard; returns what goes on from there.

    Args:
        run: the connection.
        run_dir: the run's folder.
        dashboard: where the run is shown.
        branches: how many the run has.

    Raises:
        RlavrError: the metrics are damaged.
    """
    known = read_metrics(run_dir)
    lacking = run.starting_step
    if dashboard.mode == "offline" and not dashboard.new:
        lacking = _after_last_row(run_dir, dashboard.run_id)
    sender = RowSender(
        run=run,
        first=first_indices(known, branches=branches),
        lacking=lacking,
        share_labels=dashboard.share_labels,
    )
    sender.keep(_examples_of(run_dir))
    for row in known:
        sender.send(row)
    return sender


def _examples_of(run_dir: Path) -> list[Example]:
    """Without those the rows are worth sending all the same."""
    try:
        return read_examples(run_dir)
    except RlavrError as error:
        log.warning("the dashboard gets no tables of earlier examples: %s", error)
        return []


def end_run(run: DashboardRun, code: int, outcome: RunOutcome) -> None:
    """A run that goes on later does not look finished; without `finish` its last rows are lost."""
    for attachment in outcome.attachments:
        run.attach(attachment)
    if outcome.summary:
        run.summarize(outcome.summary)
    if code in (ExitCode.STOPPED, ExitCode.WAITING_FOR_LABELS):
        run.mark_preempting()
    run.finish(exit_code=code)


def first_indices(rows: Iterable[Mapping[str, Any]], *, branches: int) -> list[int]:
    """Per branch the internal step of its step 0 on the dashboard.

    wandb drops a row whose internal step is not above the last one, and a roll-back makes a run's
    own step go back; so every branch begins above all the rows of the branches before it. Nothing
    but the record enters: every attempt, on any node, gives a row the same number, whatever its
    predecessors had shown when they were killed. An old branch gets no more rows, so the numbers
    stay.

    Args:
        rows: the record.
        branches: how many to tell.
    """
    last = [-1] * branches
    for row in rows:
        last[row["branch"]] = max(last[row["branch"]], row["step"])
    return list(accumulate((step + 1 for step in last[:-1]), initial=0))


def _after_last_row(run_dir: Path, run_id: str) -> int:
    """The internal step after the last row that earlier attempts got onto the disk."""
    files = wandb_files(run_dir, run_id=run_id)
    lasts = [last for file in files if (last := read_wandb_file(file).last) is not None]
    return max(lasts, default=-1) + 1
