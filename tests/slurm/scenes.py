"""What the tests on a real Slurm do and look at."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.sameness import first_difference
from rlavr_hpc.cluster.slurm.commands import queue, show_job
from rlavr_hpc.runs.attempts import read_attempts
from rlavr_hpc.runs.queued_job import QueuedJob
from rlavr_hpc.runs.stops import Stop, read_stops
from rlavr_hpc.runs.submissions import submissions
from tests.support.commands import CARE, TINY, rlavr, run

STEPS = 250
LONG = (
    *TINY,
    *CARE,
    "rollout=hf",
    f"steps={STEPS}",
    "eval_every=100",
    "save_every=25",
)
"""Half a minute of steps: long enough to be preempted several times."""
OVER = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED")
SHORT_LEAD = "hydra.launcher.signal_seconds=20"


def launch(root: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    """`python -m rlavr_hpc.run -m hydra/launcher=slurm`, and it must be well."""
    done = run("-m", "hydra/launcher=slurm", f"root={root}", *overrides)
    assert done.returncode == 0, done.stderr
    return done


def the_run(root: Path) -> Path:
    """The only run below a root."""
    (config,) = root.glob("*/*/config.yaml")
    return config.parent


def wait_for(what: str, holds: Callable[[], Any], *, seconds: float = 300.0) -> Any:  # noqa: ANN401
    """Its first true value."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := holds():
            return found
        time.sleep(0.2)
    raise TimeoutError(f"{what} did not come true in {seconds:.0f} s")


def step_of(folder: Path) -> int:
    """By the record, whose newest segment may just be growing."""
    rows = [rows[-1] for rows in segments(folder).values() if rows]
    return int(rows[-1]["step"]) if rows else -1


def segments(folder: Path) -> dict[int, list[dict[str, Any]]]:
    """Every attempt's rows, also those that no longer count."""
    found = {}
    for path in sorted((folder / "metrics").glob("*.jsonl"), key=lambda path: int(path.stem)):
        lines = path.read_text().splitlines(keepends=True)
        found[int(path.stem)] = [json.loads(line) for line in lines if line.endswith("\n")]
    return found


def node_of(folder: Path) -> str:
    """Where the run's job runs; "" while it does not."""
    said = job(folder)
    return said["NodeList"] if said.get("JobState") == "RUNNING" else ""


def minutes_of(folder: Path) -> int:
    """Whole minutes for which the run's job has run."""
    hours, minutes, _ = job(folder)["RunTime"].split(":")  # a job of days has another form
    return 60 * int(hours) + int(minutes)


def queued(root: Path) -> list[QueuedJob]:
    """Jobs of everything below a root."""
    tags = {submission.tag for sweep in root.glob("*") for submission in submissions(sweep)}
    return [job for job in queue() if job.comment in tags]


def job_of(folder: Path) -> str:
    """A_T of the run's newest submission of which it is the first run."""
    newest = max((folder.parent / "slurm").iterdir(), key=lambda path: int(path.name))
    runs = (newest / "runs.txt").read_text().splitlines()
    return f"{json.loads((newest / 'job.json').read_text())['job']}_{runs.index(str(folder))}"


def wait_until_over(folder: Path, *, seconds: float = 400.0) -> None:
    """Until the run's job is over; a waiting one is made to start now."""
    wait_for(f"the end of {folder}", lambda: is_over(folder), seconds=seconds)


def is_over(folder: Path) -> bool:
    """Whether the run's job has ended for good; fails when it was to go on and was lost."""
    said = started_now(folder)
    if said.get("JobState") not in OVER:
        return False
    last = [stop for stop in stops(folder) if stop.job == job_of(folder)][-1:]
    assert last, f"Slurm has ended the job without a stop on record: {said}"
    assert not last[0].again, f"the job was to go on and is gone: {said}, {last}"
    return True


def job(folder: Path) -> dict[str, str]:
    """What Slurm says of the run's newest job; in the moment of a signal it may say nothing."""
    name = job_of(folder)
    return dict(wait_for(f"a word on job {name}", lambda: show_job(name), seconds=30))


def started_now(folder: Path) -> dict[str, str]:
    """The same; a requeued job that only waits for its delay is made to start now."""
    said = job(folder)
    if said.get("JobState") == "PENDING" and said.get("Reason") == "BeginTime":
        done = rlavr("start-now", str(folder))
        assert done.returncode == 0, done.stderr
        time.sleep(0.5)
    return said


def causes(folder: Path) -> list[str]:
    """Of the run's stops, in order."""
    return [stop.cause.value for stop in stops(folder)]


def stops(folder: Path) -> list[Stop]:
    return read_stops(folder)


def assert_same(folder: Path, reference: Path, *, steps: int = STEPS) -> None:
    """Weights, probes, metrics, decisions and labels, bit by bit; and the ledger proves itself."""
    assert first_difference(folder, reference, step=steps) is None
    proved = rlavr("ledger", "verify", str(folder))
    assert proved.returncode == 0, proved.stdout


def costs(folder: Path) -> Iterator[tuple[float, float]]:
    """Per restart: seconds of steps done again, and from the attempt's token to its first step."""
    attempts, rows = read_attempts(folder), segments(folder)
    for before, after in pairwise(attempts):
        lost = [row for row in rows.get(before.number, []) if row["step"] > after.resumed_from]
        new = [row for row in rows.get(after.number, []) if row["step"] > after.resumed_from]
        token = (folder / "attempts" / f"{after.number}.json").stat().st_mtime
        if new:  # else it ended before its first step
            yield sum(row.get("time/step", 0.0) for row in lost), new[0]["time"] - token


def pause(folder: Path) -> None:
    """The run's process does nothing until Slurm signals it, which wakes it as well."""
    with suppress(ProcessLookupError):
        os.kill(read_attempts(folder)[-1].pid, signal.SIGSTOP)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """The run's process hangs: Slurm, which wakes whom it signals, does not get it to go on."""
    pid, over = read_attempts(folder)[-1].pid, threading.Event()

    def hold() -> None:
        with suppress(ProcessLookupError):
            while not over.wait(0.01):
                os.kill(pid, signal.SIGSTOP)
            os.kill(pid, signal.SIGCONT)

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        yield
    finally:
        over.set()
        holder.join()


def log_of(folder: Path) -> str:
    """What rank 0 of the run's only submission said, over all its starts."""
    (log,) = (folder.parent / "slurm/1/log").glob("*_0_0_log.out")
    return log.read_text()


def provenance(folder: Path) -> dict[str, Any]:
    """What the run's first attempt ran on."""
    found: dict[str, Any] = json.loads((folder / "provenance/1.json").read_text())
    return found
