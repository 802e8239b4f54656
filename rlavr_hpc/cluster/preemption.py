"""Signals set a flag and nothing else; the run asks the flag at safe points.

TERM, USR2 and Ctrl-C mean "checkpoint and stop"; a second one ends the process at once. Python runs
signal handlers only between two instructions of the main thread, which may sit in a collective or
in a long kernel; so a thread waits at the interpreter's wake-up descriptor and notes the moment.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType

from rlavr_hpc.errors import ExitCode

STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR2, signal.SIGINT)
SAME_WISH_SECONDS = 0.3
"""A launcher passes Ctrl-C on although the terminal has sent it to everyone: that is one wish."""
TORCHRUN_ECHO_SECONDS = 2.0
"""The same below torchrun, which passes on whatever it gets, and may be slow on a busy node."""


class StopFlag:
    """Whether a signal has asked this process to stop, and when."""

    def __init__(self, *, echo_seconds: float = SAME_WISH_SECONDS) -> None:
        """No signal yet; what comes `echo_seconds` after the first is the same wish."""
        self._echo_seconds = echo_seconds
        self.received: signal.Signals | None = None
        self.at = 0.0
        """`time.monotonic()` of its arrival."""

    def install(self, *, quiet: bool = False) -> None:
        """Take over the stop signals; only the main thread may call this.

        Args:
            quiet: do not say on stderr that a signal came.
        """
        reader, writer = socket.socketpair()
        writer.setblocking(False)
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        for number in STOP_SIGNALS:
            signal.signal(number, _ignore)
        threading.Thread(
            target=self._listen, args=(reader, writer), kwargs={"quiet": quiet}, daemon=True
        ).start()

    def note(self, number: int) -> bool:
        """Take a signal; False when it is a second one, which means: end at once."""
        now = time.monotonic()
        if self.received is not None:
            return now - self.at < self._echo_seconds
        self.at = now
        self.received = signal.Signals(number)
        return True

    def _listen(self, reader: socket.socket, writer: socket.socket, *, quiet: bool) -> None:
        """Wait for signals; holding both ends keeps the descriptor open."""
        while writer.fileno() >= 0:
            for number in reader.recv(16):
                if number not in STOP_SIGNALS:
                    continue
                first = self.received is None
                if not self.note(number):
                    os._exit(ExitCode.SECOND_SIGNAL)
                if first and not quiet:
                    name = signal.Signals(number).name
                    with suppress(OSError, ValueError):  # nobody reads it, or the disk is full
                        os.write(
                            sys.__stderr__.fileno() if sys.__stderr__ else 2, _announcement(name)
                        )


def _announcement(name: str) -> bytes:
    text = f"\nrlavr: {name} received; stopping with a checkpoint; a second signal ends at once"
    return f"{text}\n".encode()


def _ignore(number: int, frame: FrameType | None) -> None:
    """Only replaces the default action, which would end the process."""


MARGIN = 2.0
"""Times the last checkpoint's seconds that are kept for the next one."""


@dataclass(slots=True, kw_only=True)
class Deadline:
    """Whether the work in flight can still be finished and saved before the process is killed."""

    stop: StopFlag
    grace: float
    """Seconds between TERM and the kill."""
    warning: float | None = None
    """Seconds between USR2 and the kill; None = `grace`."""
    save_seconds: float = 0.0
    """That a checkpoint takes."""
    now: Callable[[], float] = time.monotonic
    _usual: dict[str, float] = field(default_factory=dict)
    _expected_end: float = 0.0

    @contextmanager
    def work(self, kind: str) -> Iterator[None]:
        """A block of work that is expected to take as long as the last one of its kind."""
        begun = self.now()
        self._expected_end = begun + self._usual.get(kind, 0.0)
        yield
        self._usual[kind] = self.now() - begun

    def out_of_time(self) -> bool:
        """Whether to give up what is in flight: the rest of it and a checkpoint no longer fit."""
        if self.stop.received is None:
            return False
        end = max(self.now(), self._expected_end)
        usr2 = self.stop.received is signal.SIGUSR2 and self.warning is not None
        allowed = self.warning if usr2 else self.grace
        assert allowed is not None
        return end + MARGIN * self.save_seconds > self.stop.at + allowed
