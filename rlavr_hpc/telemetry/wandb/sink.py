"""A mirror of the record on Weights & Biases.

A dashboard may fail without stopping a run, or hang without holding it up: a thread talks to it,
an error becomes one warning, and the record on disk stays complete.

Attempts are one run there. Every row has an internal step that follows from the record alone (see
`first_indices`), and an attempt begins with what the record has and the dashboard lacks: what a
killed predecessor did not get out is sent then, and a step that is done again is not sent twice.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rlavr_hpc.errors import ExitCode
from rlavr_hpc.runs.attempts import Attempt
from rlavr_hpc.telemetry.background import PATIENCE, BackgroundMirror, End
from rlavr_hpc.telemetry.wandb.connection import Dashboard, DashboardRun, end_wandb, start_wandb
from rlavr_hpc.telemetry.wandb.rows import catch_up, end_run

CHECKPOINT_PATIENCE = 3600.0
"""Seconds that a run waits when it is done and its checkpoint is to be sent, which somebody has
asked for."""


class WandbSink(BackgroundMirror):
    """One run on the dashboard, the same one across attempts; opened by its first row."""

    name = "wandb"
    tries = 3  # a signal to the whole job step ends wandb's process at once
    way_out = ""

    def __init__(
        self,
        run_dir: Path,
        dashboard: Dashboard,
        attempt: Attempt,
        *,
        start: Callable[[Path, Dashboard], DashboardRun] | None = None,
        patience: float = PATIENCE,
    ) -> None:
        """Prepare to open the run, or to continue it; `start` does that."""
        super().__init__(attempt, patience=patience)
        self._run_dir, self._dashboard = run_dir, dashboard
        self._start = start or start_wandb

    def _patience_for(self, code: ExitCode) -> float:
        usual = super()._patience_for(code)
        asked = code is ExitCode.DONE and self._dashboard.checkpoints
        return max(usual, CHECKPOINT_PATIENCE) if asked else usual

    def _mirror(self) -> None:
        """Send what the dashboard lacks, then every row that comes, then the end."""
        run = self._start(self._run_dir, self._dashboard)
        sender = catch_up(run, self._run_dir, self._dashboard, branches=self._attempt.branch + 1)
        while self._end is None:
            given = self._queue.get()
            if isinstance(given, End):
                self._end = given
            elif isinstance(given, list):
                sender.keep(given)
            else:
                sender.send(given)
        end_run(run, self._end.code, self._end.outcome())

    def _clean_up(self) -> None:
        end_wandb()
