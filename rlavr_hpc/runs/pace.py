"""Seconds per step of a run, smoothed."""

from __future__ import annotations

import time
from dataclasses import dataclass

SMOOTHING = 0.1
"""Weight of the newest step in the seconds per step."""


@dataclass(slots=True)
class StepPace:
    """Measures one attempt's pace: the mean of the first few steps, then a moving average."""

    _last_step: tuple[int, float] | None = None
    """Step, and when it was told."""
    _steps_timed: int = 0

    def after(self, step: int, old: float | None) -> float | None:
        """The pace after this step.

        Args:
            step: that was finished.
            old: the pace until now; None = not known.

        Returns:
            Seconds per step; `old` where this step tells nothing of it.
        """
        now, before = time.monotonic(), self._last_step
        self._last_step = (step, now)
        if before is None or step <= before[0]:
            return old
        seconds = (now - before[1]) / (step - before[0])
        self._steps_timed += 1
        old = seconds if old is None else old
        weight = max(SMOOTHING, 1 / self._steps_timed)
        return round(old + weight * (seconds - old), 4)

    def skip(self) -> None:
        """Leave out the time until the next step."""
        self._last_step = None
