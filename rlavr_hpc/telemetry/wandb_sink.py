"""A mirror of the record on Weights & Biases: the only importer of wandb.

A dashboard may fail without stopping a run, or hang without holding it up: a thread talks to it,
what goes wrong is said once, and the record on disk stays complete.

Attempts are one run there. Every row has an internal step that follows from the record alone (see
`first_indices`), and an attempt begins with what the record has and the dashboard lacks: what a
killed predecessor did not get out is sent then, and a step that is done again is not sent twice.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Literal, Protocol

from rlavr_hpc.attempts import Attempt
from rlavr_hpc.errors import ExitCode
from rlavr_hpc.telemetry.sinks import read_metrics
from rlavr_hpc.telemetry.wandb_files import read_wandb_file, wandb_files
from rlavr_hpc.types import Place

PATIENCE = 5.0
"""Seconds that a run waits for the dashboard when it is stopped: much less than any grace."""
LONG_PATIENCE = 60.0
"""The same when it is done: nothing is at stake then."""
TRIES = 3
"""Times that wandb is started: a signal to the whole job step ends its process at once."""
FOR_RECORD_ONLY = ("v", "time")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """Where a run is shown."""

    run_id: str
    """The same in every attempt."""
    mode: Literal["online", "offline"]
    project: str
    entity: str | None
    group: str
    """The sweep's name."""
    config: Mapping[str, Any]


class DashboardRun(Protocol):
    """What is used of `wandb.Run`."""

    @property
    def starting_step(self) -> int:
        """The first internal step that the dashboard does not have; 0 of an offline run."""

    def log(self, data: dict[str, Any], step: int, *, commit: bool) -> None:
        """Send a row."""

    def mark_preempting(self) -> None:
        """Say that an end with an error is none: the run goes on later."""

    def finish(self, exit_code: int) -> None:
        """Send what is left, and how the run ended."""


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
        self._queue: SimpleQueue[dict[str, Any] | int] = SimpleQueue()
        self._code: int | None = None
        """How the run ended, once that is known."""
        self._abandoned = False

    def write(self, place: Place, values: Mapping[str, float]) -> None:
        """Mirror a row that is in the record."""
        if not self._open().is_alive():
            return  # given up
        facts = {"step": place.step, "branch": place.branch, "attempt": self._attempt.number}
        self._queue.put({**facts, **values})

    def close(self, code: ExitCode) -> None:
        """Say how the run ended, and wait a little until that and all rows are out."""
        if self._thread is None and code is not ExitCode.DONE:
            return  # this attempt has nothing to show
        thread = self._open()
        self._queue.put(int(code))
        patience = max(self._patience, LONG_PATIENCE) if code is ExitCode.DONE else self._patience
        thread.join(patience)
        if thread.is_alive():
            self._abandoned = True
            log.warning(
                "wandb did not take everything within %g s; the record is complete, and the next "
                "attempt sends the rest", patience,
            )  # fmt: skip

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
                _end_wandb()

    def _mirror(self) -> None:
        """Send what the dashboard lacks, then every row that comes, then the end."""
        run = self._start(self._run_dir, self._dashboard)
        known = read_metrics(self._run_dir)
        first = first_indices(known, branches=self._attempt.branch + 1)
        lacking = run.starting_step
        if self._dashboard.mode == "offline":
            lacking = _after_last_row(self._run_dir, self._dashboard.run_id)

        def send(row: Mapping[str, Any]) -> None:
            nonlocal lacking
            index = first[row["branch"]] + row["step"]
            if index < lacking:
                return  # it is there: a step that was done again, or one of an earlier attempt
            shown = {name: value for name, value in row.items() if name not in FOR_RECORD_ONLY}
            run.log(shown, step=index, commit=True)
            lacking = index + 1

        for row in known:
            send(row)
        while self._code is None:
            given = self._queue.get()
            if isinstance(given, int):
                self._code = given
            else:
                send(given)
        _end(run, self._code)


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


def _end(run: DashboardRun, code: int) -> None:
    """A run that goes on later does not look finished; without `finish` its last rows are lost."""
    if code == ExitCode.STOPPED and hasattr(run, "mark_preempting"):
        run.mark_preempting()
    run.finish(exit_code=code)


def start_wandb(run_dir: Path, dashboard: Dashboard) -> DashboardRun:
    """Open or continue the run with wandb itself.

    Without machine facts, because wandb would copy all of the environment's SLURM_ variables, and
    without the console, which is in the logs.
    """
    import wandb

    run = wandb.init(
        project=dashboard.project, entity=dashboard.entity, id=dashboard.run_id,
        name=run_dir.name, group=dashboard.group, job_type="train", resume="allow",
        mode=dashboard.mode, dir=str(run_dir), config=dict(dashboard.config), reinit="create_new",
        settings=wandb.Settings(
            silent=True, disable_git=True, disable_code=True, console="off",
            x_disable_meta=True, x_save_requirements=False,
        ),
    )  # fmt: skip
    run.define_metric("step")
    run.define_metric("*", step_metric="step")
    return run


def _end_wandb() -> None:
    """Wait until wandb's own process has written everything, and have the next start make another.

    `finish` comes back before the file is complete, and this process ends soon after.
    """
    wandb = sys.modules.get("wandb")
    if wandb is not None:
        wandb.teardown()
