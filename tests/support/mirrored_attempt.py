"""An attempt that trains nothing: `RUN_DIR FIRST LAST [kill SIZE]` writes rows of these steps.

With `kill` wandb's process and this one are killed once its file holds SIZE bytes.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from rlavr_hpc.errors import ExitCode
from rlavr_hpc.telemetry.reduce import Mean
from rlavr_hpc.telemetry.sinks import MetricsFile
from rlavr_hpc.telemetry.wandb.connection import Dashboard
from rlavr_hpc.telemetry.wandb.files import wandb_files
from rlavr_hpc.telemetry.wandb.sink import WandbSink
from rlavr_hpc.types import StepKey
from tests.support.attempts import begin_attempt


def wandb_processes(parent: int) -> list[int]:
    """The pids of wandb's own process below `parent`."""
    children = Path(f"/proc/{parent}/task").glob("*/children")
    pids = [int(pid) for path in children for pid in path.read_text().split()]
    return [p for p in pids if b"wandb-core" in Path(f"/proc/{p}/cmdline").read_bytes()]


def wait_for_size(run_dir: Path, size: int) -> None:
    """Until wandb's file has so many bytes: its process writes when it gets the time.

    Raises:
        TimeoutError: it has fewer after a minute.
    """
    deadline = time.monotonic() + 60
    while sum(path.stat().st_size for path in wandb_files(run_dir)) < size:
        if time.monotonic() > deadline:
            raise TimeoutError(f"wandb wrote less than {size} bytes within a minute")
        time.sleep(0.05)


def main() -> None:
    run_dir, first, last = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    attempt = begin_attempt(run_dir, resumed_from=max(0, first - 1))
    dashboard = Dashboard(
        run_id="r", mode="offline", project="p", entity=None, group="g", config={}
    )
    record = MetricsFile(run_dir, attempt.number, fence=lambda: None)
    sink = WandbSink(run_dir, dashboard, attempt)
    for step in range(first, last + 1):
        values = {f"x/{i}": Mean(step + i / 64) for i in range(64)}
        sink.write(StepKey(seed=1, step=step), record.write(StepKey(seed=1, step=step), values))
    if sys.argv[4:5] == ["kill"]:
        wait_for_size(run_dir, int(sys.argv[5]))
        for pid in wandb_processes(os.getpid()):
            os.kill(pid, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
    sink.close(ExitCode.DONE)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
