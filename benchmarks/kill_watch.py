"""Holding a run from outside: a thread that watches its folder and stops the process."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from benchmarks.kill_holds import POLL, Holder


def hold_by_watching(holder: Holder) -> None:
    """Start the thread that waits for what is seen in folders alone."""
    watchers = {
        "start-up": lambda: time.sleep(holder.point.delay),
        "token": lambda: wait_for_token(holder),
        "compile": lambda: wait_for_build(holder),
        "checkpoint": lambda: wait_for_shards(holder),
    }
    wait = watchers.get(holder.point.phase)
    if wait is None:
        return

    def watch() -> None:
        wait()
        holder.stop()

    threading.Thread(target=watch, daemon=True).start()


def wait_for_token(holder: Holder) -> None:
    """Until a further attempt has its token."""
    while holder.count_attempts() == holder.attempts:
        time.sleep(POLL)
    time.sleep(holder.point.delay)


def wait_for_build(holder: Holder) -> None:
    """PyTorch guards its build by a file called `lock`."""
    root = Path(os.environ["TORCH_EXTENSIONS_DIR"])
    while not list(root.glob("*/lock")):
        time.sleep(POLL)
    time.sleep(holder.point.delay)
    if list(root.glob("*/lock")):
        holder.step_key = "compile"


def wait_for_shards(holder: Holder) -> None:
    """Until a checkpoint is being written, and for a part of the time that takes."""
    root, delay = holder.run_dir / "checkpoints", holder.point.delay
    seen = set(root.glob(".step_*"))  # left by processes killed before
    while True:
        new = [path for path in root.glob(".step_*") if path not in seen]
        if not new:
            time.sleep(POLL)
            continue
        seen |= set(new)
        if not holder.reached("checkpoint") and holder._left >= 0:
            continue
        time.sleep(delay)
        if new[0].exists():
            holder.step_key = "checkpoint"
            return
        delay /= 2
