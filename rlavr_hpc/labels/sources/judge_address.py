"""How often one address may be asked: calls at a time, and when it wants to be left alone."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from functools import cache

MAX_PAUSE = 60.0
"""Seconds of a pause that is not the service's own wish."""


@dataclass(slots=True)
class Address:
    """One service, whichever runs ask it."""

    not_before: float = 0.0
    """On the monotonic clock; nothing is sent earlier."""
    failures: int = 0
    """In a row."""
    limited: int = 0
    """Rate limits in a row."""
    _in_flight: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def in_flight(self) -> int:
        """Calls that have not ended."""
        return self._in_flight

    def begin(self) -> None:
        """Count a call."""
        with self._lock:
            self._in_flight += 1

    def end(self) -> None:
        """It has ended; the thread of the calls says so."""
        with self._lock:
            self._in_flight -= 1

    def answers(self) -> None:
        """It has answered."""
        self.failures = self.limited = 0

    def fails(self, now: float, *, allowed: int) -> None:
        """A call failed; behind `allowed` in a row the address is left alone for a while."""
        self.failures += 1
        if self.failures >= allowed:
            self.not_before = max(self.not_before, now + pause(self.failures - allowed))

    def limits(self, now: float, seconds: float | None) -> None:
        """It asks for fewer calls.

        Args:
            now: the time.
            seconds: the pause it asks for; None = one that grows with each time.
        """
        if seconds is None:
            if now < self.not_before:
                return  # another call of the same moment
            seconds = pause(self.limited)
            self.limited += 1
        self.not_before = max(self.not_before, now + seconds)


def pause(times: int) -> float:
    """Seconds before another try: 1, 2, 4 and so on up to `MAX_PAUSE`, half to one and a half."""
    return min(MAX_PAUSE, float(2 ** min(times, 10))) * random.uniform(0.5, 1.5)


@cache
def address_of(url: str) -> Address:
    """The one record of an address in this process."""
    return Address()
