"""A mirror of the record on Weights & Biases.

A dashboard may fail without stopping a run, or hang without holding it up: a thread talks to it,
what goes wrong is said once, and the record on disk stays complete.

Attempts are one run there. Every row has an internal step that follows from the record alone (see
`first_indices`), and an attempt begins with what the record has and the dashboard lacks: what a
killed predecessor did not get out is sent then, and a step that is done again is not sent twice.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from rlavr_hpc.errors import ExitCode
from rlavr_hpc.runs.attempts import Attempt
from rlavr_hpc.telemetry.examples.record import Example
from rlavr_hpc.telemetry.wandb.connection import (
    Dashboard,
    DashboardRun,
    RunOutcome,
    end_wandb,
    start_wandb,
)
from rlavr_hpc.telemetry.wandb.rows import catch_up, end_run
from rlavr_hpc.types import StepKey

PATIENCE = 5.0
"""Seconds that a run waits for the dashboard when it is stopped: much less than any grace."""
LONG_PATIENCE = 60.0
"""The same when it is done: nothing is at stake then."""
CHECKPOINT_PATIENCE = 3600.0
"""The same when it is done and its checkpoint is to be sent, which somebody has asked for."""
TRIES = 3
"""Times that wandb is started: a signal to the whole job step ends its process at once."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How an attempt ended, and what goes on the dashboard then."""

    code: int
    outcome: Callable[[], RunOutcome]
    """Made on the mirror's thread: what goes wrong with it is the dashboard's trouble."""


class WandbSink:
    """One run on the dashboard, the same one across attempts; opened by its first row."""

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
        self._run_dir, self._dashboard, self._attempt = run_dir, dashboard, attempt
        self._start = start or start_wandb
        self._patience = patience
        self._thread: threading.Thread | None = None
        self._queue: SimpleQueue[dict[str, Any] | list[Example] | End] = SimpleQueue()
        self._end: End | None = None
        self._abandoned = False

    def write(self, step_key: StepKey, values: Mapping[str, float]) -> None:
        """Mirror a row that is in the record."""
        if not self._open().is_alive():
            return  # given up
        facts = {"step": step_key.step, "branch": step_key.branch, "attempt": self._attempt.number}
        self._queue.put({**facts, **values})

    def show(self, examples: Sequence[Example]) -> None:
        """Mirror a step's examples that are in the record, with the row that comes next."""
        if self._open().is_alive():
            self._queue.put(list(examples))

    def close(self, code: ExitCode, outcome: Callable[[], RunOutcome] = RunOutcome) -> None:
        """Say how the run ended, and wait a little until that and all rows are out."""
        if self._thread is None and code is not ExitCode.DONE:
            return  # this attempt has nothing to show
        thread = self._open()
        self._queue.put(End(code=int(code), outcome=outcome))
        patience = self._patience_for(code)
        thread.join(patience)
        if thread.is_alive():
            self._abandoned = True
            log.warning(
                "wandb did not take everything within %g s; the record is complete, and the next "
                "attempt sends the rest",
                patience,
            )

    def _patience_for(self, code: ExitCode) -> float:
        if code is not ExitCode.DONE:
            return self._patience
        long = CHECKPOINT_PATIENCE if self._dashboard.checkpoints else LONG_PATIENCE
        return max(self._patience, long)

    def _open(self) -> threading.Thread:
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="wandb-mirror", daemon=True)
            self._thread.start()
        return self._thread

    def _serve(self) -> None:
        """Mirror until the end, starting wandb anew when its process was lost."""
        tries = TRIES
        while tries:
            tries -= 1
            try:
                self._mirror()
                tries = 0
            except Exception as error:  # noqa: BLE001  a dashboard must not stop a run
                if not tries and not self._abandoned:
                    said = f"{type(error).__name__}: {error}"
                    log.warning("the wandb mirror stops (%s); the run goes on", said)
            if self._abandoned:
                return  # another attempt of this process may be using wandb by now
            with contextlib.suppress(Exception):
                end_wandb()

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
