"""Whether the process that had a run still lives, as far as this host can tell.

The kernel gives process ids out again, so an id alone proves nothing: a process is known by its
host, its id, the boot of the host and its start within that boot.
"""

from __future__ import annotations

import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
BOOT_ID = PROC / "sys/kernel/random/boot_id"
SLACK_SECONDS = 1.5
"""Between the clocks of the kernel and of the heartbeat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessIdentity:
    """One process among all that ever had its id."""

    host: str
    pid: int
    start_ticks: int | None = None
    """Clock ticks from the boot to its start; None in files of version 0.1."""
    boot_id: str | None = None
    """The kernel's name for this boot; None in files of version 0.1."""


def this_process() -> ProcessIdentity:
    """The identity of the calling process."""
    pid = os.getpid()
    return ProcessIdentity(
        host=socket.gethostname(), pid=pid, start_ticks=_start_ticks(pid), boot_id=_boot_id()
    )


def is_alive(process: ProcessIdentity, *, seen_at: float | None) -> bool | None:
    """Whether this very process lives.

    Args:
        process: as it was recorded.
        seen_at: unix time at which it was alive for sure. Where the record has no start, a process
            of this id that began later is another one.

    Returns:
        None where this host cannot tell: it is another host's process, or there is no /proc.
    """
    if process.host != socket.gethostname() or not (PROC / "self/stat").exists():
        return None
    if process.boot_id is not None and process.boot_id != _boot_id():
        return False
    ticks = _start_ticks(process.pid)
    if ticks is None:
        return False
    if process.start_ticks is not None and process.boot_id is not None:
        return ticks == process.start_ticks
    began = _start_time(ticks)
    return seen_at is None or began is None or began < seen_at + SLACK_SECONDS


def _start_ticks(pid: int) -> int | None:
    """None when there is no such process, or only the remains of one."""
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        return None if fields[0] in "ZX" else int(fields[19])
    except (OSError, IndexError, ValueError):
        return None


def _start_time(ticks: int) -> float | None:
    """Unix time of a start that many ticks after the boot; None where the boot is not known."""
    try:
        boot = re.search(r"^btime (\d+)", (PROC / "stat").read_text(), re.MULTILINE)
    except OSError:
        return None
    return None if boot is None else int(boot[1]) + ticks / os.sysconf("SC_CLK_TCK")


def _boot_id() -> str | None:
    try:
        return BOOT_ID.read_text().strip() or None
    except OSError:
        return None
