"""Sweeps on disk as they look from outside: plan, submissions, heartbeats, stops, without a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rlavr_hpc.runs.failures import Failure, write_failure
from rlavr_hpc.runs.queued_job import QueuedJob
from rlavr_hpc.runs.stops import Cause, Stop, write_stop
from rlavr_hpc.runs.submissions import Submission, create_submission

NOW = 1_800_000_000.0
NODE = "n7"


def make_plan(sweep: Path, *names: str, **facts: Any) -> list[Path]:  # noqa: ANN401
    """sweep.json of these runs, and their folders with a config."""
    runs = [
        {
            "index": i,
            "run_id": name,
            "folder": f"elsewhere/{sweep.name}/{name}",
            "overrides": ["acquisition=care", f"seed={i}"],
            **facts,
        }
        for i, name in enumerate(names)
    ]
    sweep.mkdir(parents=True, exist_ok=True)
    (sweep / "sweep.json").write_text(json.dumps({"version": 1, "name": sweep.name, "runs": runs}))
    for name in names:
        (sweep / name).mkdir(exist_ok=True)
        (sweep / name / "config.yaml").write_text("name: s\n")
    return [sweep / name for name in names]


def submit(sweep: Path, *runs: Path, job: int | None) -> Submission:
    """A submission of these runs; `job` None: who submitted died before it was on record."""
    submission = create_submission(sweep, runs, settings={}, code=None, work_dir=sweep)
    return submission if job is None else submission.submitted(job)


def queued(job: str, state: str = "PENDING", **facts: Any) -> QueuedJob:  # noqa: ANN401
    """A line of squeue's."""
    array, _, task = job.partition("_")
    values: dict[str, Any] = {
        "reason": "Priority" if state == "PENDING" else "None",
        "partition": "p",
        "comment": "",
        "nodes": "" if state == "PENDING" else NODE,
        "start": "N/A",
    }
    return QueuedJob(
        array_job=int(array), task=int(task) if task else None, state=state, **values | facts
    )


def beat(run: Path, state: str = "running", *, age: float = 3.0, **facts: Any) -> None:  # noqa: ANN401
    """The heartbeat, of a process on a host that is not this one unless told."""
    told = {
        "version": 1,
        "state": state,
        "step": 30,
        "steps": 150,
        "attempt": 1,
        "host": "far",
        "time": NOW - age,
        "pid": 4242,
        "job": "12_0",
        "restart": 0,
        "node": NODE,
        "seconds_per_step": 2.0,
    }
    run.mkdir(exist_ok=True)
    (run / "status.json").write_text(json.dumps(told | facts))


def stop(run: Path, cause: Cause, *, age: float = 1.0, **facts: Any) -> None:  # noqa: ANN401
    """The record of a stop."""
    told: dict[str, Any] = {
        "job": "12_0",
        "restart": 0,
        "again": False,
        "exit_code": 1,
        "checkpoint": 20,
        "time": NOW - age,
    }
    write_stop(run, Stop(cause=cause, **told | facts))


def fail(run: Path, error: str, *, age: float = 2.0, **facts: Any) -> None:  # noqa: ANN401
    """A rank's last words."""
    told: dict[str, Any] = {
        "start": "12_0.0",
        "rank": 0,
        "exit_code": 1,
        "traceback": "",
        "host": NODE,
        "pid": 7,
        "time": NOW - age,
    }
    write_failure(run, Failure(error=error, **told | facts))


def finish(run: Path, steps: int = 150) -> None:
    """DONE.json."""
    (run / "DONE.json").write_text(json.dumps({"version": 1, "steps": steps, "time": NOW}))
