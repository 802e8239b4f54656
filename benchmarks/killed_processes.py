"""The processes of a start: found by a variable of their environment, and killed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

TAG = "RLAVR_KILLED_RUN"
"""Environment variable by which all processes of a start are known."""
ENDING = 60.0
"""Seconds that torchrun has to end the other ranks when one was killed."""
POLL = 0.005


def leave_to_torchrun(process: subprocess.Popen[bytes]) -> str | None:
    """Let torchrun end the other ranks; what is wrong where it does not."""
    try:
        process.wait(timeout=ENDING)
    except subprocess.TimeoutExpired:
        return f"torchrun had not ended the other rank after {ENDING:g} s"
    return None


def left_behind(tag: str) -> str | None:
    """Processes that outlive their run by more than a moment."""
    deadline = time.monotonic() + 10
    while found := processes_of(tag):
        if time.monotonic() > deadline:
            return f"{len(found)} processes were left behind"
        time.sleep(0.1)
    return None


def processes_of(tag: str) -> list[int]:
    """Living processes that were started with this tag in their environment."""
    wanted = f"{TAG}={tag}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if wanted in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
        except OSError:
            continue  # gone, or another user's
    return found


def kill_all(tag: str) -> None:
    """SIGKILL every process of a start: ranks, launcher, compiler, graders; first to last."""
    while found := processes_of(tag):
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(POLL)
