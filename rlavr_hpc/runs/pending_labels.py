"""What a run waits for, as its heartbeat tells it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class PendingLabels:
    """Labels that the run has ordered and needs: how many, since when, from whom."""

    since: float | None
    """Unix time since when the run has waited, in earlier attempts too; None = it does not."""
    _told: dict[str, float | str] = field(default_factory=dict)

    def wait(self, pending: int, source: str) -> None:
        """Take down that the run waits."""
        self.since = time.time() if self.since is None else self.since
        self._told = {"pending": pending, "pending_since": self.since, "source": source}

    def told(self, state: str) -> dict[str, float | str]:
        """What a heartbeat of this state says of it: also its last words tell that it waited."""
        if state == "running":
            self.since = None
        if state in ("starting", "running"):
            self._told = {}
        return self._told
