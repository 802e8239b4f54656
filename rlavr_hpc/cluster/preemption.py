"""Signals set a flag and nothing else; the training loop asks the flag at safe points.

TERM, USR2 and Ctrl-C mean "checkpoint and stop"; a second one ends the process at once.
"""

from __future__ import annotations

import os
import signal
from types import FrameType

from rlavr_hpc.errors import ExitCode

STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR2, signal.SIGINT)


class StopFlag:
    """Whether a signal has asked this process to stop."""

    def __init__(self) -> None:
        """No signal yet."""
        self.received: signal.Signals | None = None

    def install(self) -> None:
        """Take over the stop signals; only the main thread may call this."""
        for number in STOP_SIGNALS:
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            os._exit(ExitCode.SECOND_SIGNAL)
        self.received = signal.Signals(number)
