"""Mirrors of the record on a thread of their own, so that a dashboard cannot stop or delay a run.

The run puts rows into a queue and goes on. What goes wrong on the mirror's thread becomes one
warning. At the end the run waits a limited time for the mirror.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

from rlavr_hpc.errors import ExitCode
from rlavr_hpc.runs.attempts import Attempt
from rlavr_hpc.telemetry.examples.record import Example
from rlavr_hpc.telemetry.outcome import RunOutcome
from rlavr_hpc.types import StepKey

PATIENCE = 5.0
"""Seconds that a run waits for its mirror when it is stopped: much less than any grace."""
LONG_PATIENCE = 60.0
"""The same when it is done: nothing is at stake then."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How an attempt ended, and what is stored on the dashboard then."""

    code: int
    outcome: Callable[[], RunOutcome]
    """Made on the mirror's thread, so that an error in it is the mirror's."""


class BackgroundMirror(ABC):
    """One attempt's mirror; opened by its first row. Implements `sinks.MetricsMirror`."""

    name: str
    """Of the dashboard, as warnings tell it."""
    tries = 1
    """Times that mirroring is begun."""
    way_out: str
    """What a user can do about a mirror that failed."""

    def __init__(self, attempt: Attempt, *, patience: float = PATIENCE) -> None:
        """Prepare; nothing is opened yet."""
        self._attempt, self._patience = attempt, patience
        self._thread: threading.Thread | None = None
        self._queue: SimpleQueue[dict[str, Any] | list[Example] | End] = SimpleQueue()
        self._end: End | None = None
        self._abandoned = False

    def write(self, step_key: StepKey, values: Mapping[str, float]) -> None:
        """Mirror a row that is in the record."""
        if not self._open().is_alive():
            return  # given up
        facts = {"step": step_key.step, "branch": step_key.branch, "attempt": self._attempt.number}
        self._queue.put({**facts, **self._stamp(), **values})

    def _stamp(self) -> dict[str, float]:
        """What else a row says of its making."""
        return {}

    def show(self, examples: Sequence[Example]) -> None:
        """Mirror a step's examples that are in the record, with the row that comes next."""
        if self._open().is_alive():
            self._queue.put(list(examples))

    def close(self, code: ExitCode, outcome: Callable[[], RunOutcome] = RunOutcome) -> None:
        """Say how the attempt ended, and wait a limited time until all rows are out."""
        if self._thread is None and code is not ExitCode.DONE:
            return  # this attempt has nothing to show
        thread = self._open()
        self._queue.put(End(code=int(code), outcome=outcome))
        patience = self._patience_for(code)
        thread.join(patience)
        if thread.is_alive():
            self._abandoned = True
            log.warning(
                "%s did not take everything within %g s; the record is complete, and the next "
                "attempt sends the rest",
                self.name,
                patience,
            )

    def _patience_for(self, code: ExitCode) -> float:
        return max(self._patience, LONG_PATIENCE) if code is ExitCode.DONE else self._patience

    def _open(self) -> threading.Thread:
        if self._thread is None:
            name = f"{self.name}-mirror"
            self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
            self._thread.start()
        return self._thread

    def _serve(self) -> None:
        """Mirror until the end, beginning anew when that failed and there are tries left."""
        tries = self.tries
        while tries:
            tries -= 1
            try:
                self._mirror()
                tries = 0
            except Exception as error:  # noqa: BLE001  a dashboard must not stop a run
                if not tries and not self._abandoned:
                    reason = f"{type(error).__name__}: {error}"
                    log.warning(
                        "the %s mirror stops (%s); the run goes on%s",
                        self.name,
                        reason,
                        self.way_out,
                    )
            if self._abandoned:
                return  # another attempt of this process may be using the dashboard by now
            with contextlib.suppress(Exception):
                self._clean_up()

    @abstractmethod
    def _mirror(self) -> None:
        """Send what the dashboard lacks, then every row that comes, then `self._end`."""

    def _clean_up(self) -> None:  # noqa: B027  most mirrors leave nothing behind
        """After the end and after every failure; what goes wrong here is ignored."""
