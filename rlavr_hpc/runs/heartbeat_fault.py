"""Why a heartbeat that is there cannot be used."""

from __future__ import annotations

from enum import StrEnum


class HeartbeatFault(StrEnum):
    """Why a heartbeat that is there cannot be used."""

    unreadable = "unreadable"
    """The file cannot be opened."""
    torn = "torn"
    """It is not JSON: cut off, or overwritten."""
    foreign = "foreign"
    """It is JSON, but not a heartbeat of this program."""
    newer = "newer"
    """A newer version of this program wrote it."""
