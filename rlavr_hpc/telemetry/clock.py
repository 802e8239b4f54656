"""Where a step's time goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.reduce import Mean, Metrics


class StepClock:
    """Adds up the seconds of a step's phases."""

    def __init__(
        self,
        *,
        mark: Callable[[str], AbstractContextManager[object]] = nullcontext,
        after: Callable[[str], None] = lambda phase: None,
    ) -> None:
        """Starts with the step.

        Args:
            mark: entered around every phase with its name, so that a profiler sees them.
            after: called at the end of a phase, outside of its time.
        """
        self._mark, self._after = mark, after
        self._start = time.perf_counter()
        self._seconds = dict.fromkeys(names.TIME_PHASES, 0.0)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a block as part of phase `name`."""
        start = time.perf_counter()
        try:
            with self._mark(name):
                yield
        finally:
            self._seconds[name] += time.perf_counter() - start
        self._after(name)

    def metrics(self) -> Metrics:
        """Seconds per phase, of the rest, and of the whole step until now."""
        whole = time.perf_counter() - self._start
        other = whole - sum(self._seconds.values())
        timed = {names.time_name(phase): Mean(value) for phase, value in self._seconds.items()}
        return {**timed, names.TIME_OTHER: Mean(other), names.TIME_STEP: Mean(whole)}
