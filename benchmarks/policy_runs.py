"""Makes the runs of `benchmarks.policies`, and reads what they recorded."""

from __future__ import annotations

import json
import os
import shutil
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.policy_plan import Job
from benchmarks.policy_rows import THRESHOLDS, Row
from benchmarks.warm_start import FORKING, become
from rlavr_hpc.cluster.topology import THREAD_VARIABLES
from rlavr_hpc.runs.done import DONE_FILE
from rlavr_hpc.runs.folder import read_config
from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.sinks import read_line
from rlavr_hpc.trainer.reporting.summary import held_out_accuracies

LAST, FIRST = 10, 5
"""Steps at the end over which truncation is averaged, and at the start for right votes."""
Ended = Callable[[Job, Path | None], None]
"""Takes a job and its finished folder, None = failed."""


def run_all(jobs: Sequence[Job], root: Path, *, side_by_side: int, ended: Ended) -> None:
    """Make the runs, so many at a time; one that fails does not stop the others.

    A run whose folder is finished is not repeated; an unfinished folder is begun anew. What a
    failed run said is in a file beside its folder: `FOLDER.txt`.

    Args:
        jobs: in this order.
        root: folder of the runs' folders.
        side_by_side: how many at a time, one thread each.
        ended: called after each, in this process.
    """
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))  # read when libraries are loaded
    finished = [job for job in jobs if (root / job.folder / DONE_FILE).exists()]
    for job in finished:
        ended(job, root / job.folder)
    waiting = deque(job for job in jobs if job not in finished)
    running = dict[Any, tuple[Job, BaseProcess]]()
    try:
        while waiting or running:
            while waiting and len(running) < side_by_side:
                job = waiting.popleft()
                process = _begin(job, root, side_by_side=side_by_side)
                running[process.sentinel] = job, process
            for sentinel in connection.wait(list(running)):
                job, process = running.pop(sentinel)
                process.join()
                if process.exitcode == 0:
                    words_of(job, root).unlink(missing_ok=True)
                ended(job, root / job.folder if process.exitcode == 0 else None)
    finally:
        for _, process in running.values():
            process.terminate()
        for _, process in running.values():
            process.join()


def _begin(job: Job, root: Path, *, side_by_side: int) -> BaseProcess:
    folder = root / job.folder
    shutil.rmtree(folder, ignore_errors=True)
    root.mkdir(parents=True, exist_ok=True)
    line = job.command(folder, side_by_side=side_by_side)
    outputs = [Path(os.devnull), words_of(job, root)]
    process = FORKING.Process(target=become, args=(line, Path.cwd(), dict(os.environ), outputs))
    process.start()
    return process


def words_of(job: Job, root: Path) -> Path:
    """What the run says while it runs, and after it failed."""
    return root / f"{job.folder}.txt"


def row_of(job: Job, folder: Path, *, machine: str) -> Row:
    """What a finished run comes to."""
    summary = json.loads((folder / "summary.json").read_text())
    rows = read_line(folder)
    accuracies = held_out_accuracies(rows, samples=read_config(folder).eval.samples)
    hint = summary["early_warning"]
    return Row(
        study=job.study,
        world=job.world,
        arm=job.arm,
        budget=job.budget,
        seed=job.seed,
        labels=summary["labels_bought"],
        accuracy_start=round(summary["accuracy_start"], 4),
        accuracy_end=round(summary["accuracy_end"], 4),
        accuracy_best=round(max(accuracy for _, accuracy in accuracies), 4),
        faults="+".join(fault["fault"] for fault in summary["faults"]),
        collapse_step=summary["collapse_step"],
        hint_step=int(hint["step"]) if hint else None,
        risk_steps=risk_steps(rows),
        truncated_end=round(_mean(rows, names.COLLAPSE_TRUNCATED, slice(-LAST, None)), 4),
        votes_right_start=round(_mean(rows, names.ORACLE_VOTE_ACCURACY, slice(FIRST)), 4),
        seconds=summary["wall_seconds"],
        machine=machine,
    )


def risk_steps(rows: Sequence[Mapping[str, Any]]) -> str:
    """When `collapse/risk` first reached each of `THRESHOLDS`, as a row has it."""
    risks = [(row["step"], row[names.COLLAPSE_RISK]) for row in rows if names.COLLAPSE_RISK in row]
    first = (next((step for step, risk in risks if risk >= bar), "-") for bar in THRESHOLDS)
    return " ".join(str(step) for step in first)


def _mean(rows: Sequence[Mapping[str, Any]], name: str, part: slice) -> float:
    return fmean([row[name] for row in rows if name in row][part])
