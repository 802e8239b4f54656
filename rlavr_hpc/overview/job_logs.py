"""The logs of a run's jobs, and how to follow them from job to job."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rlavr_hpc.cluster.slurm.commands import ask_queue
from rlavr_hpc.errors import UserError
from rlavr_hpc.runs.done import is_done
from rlavr_hpc.runs.find import find_runs, name_one
from rlavr_hpc.runs.sweep_jobs import RunLocation, read_jobs

LOOK_SECONDS = 5.0
"""Between looks for a newer job."""
POLL_SECONDS = 0.5
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLog:
    """One log of one job."""

    path: Path
    job: str

    @property
    def exists(self) -> bool:
        """Whether anything was written."""
        return self.path.is_file()


def logs_of(run: Path, *, rank: int | None) -> list[JobLog]:
    """The logs of a run's jobs, newest first, whether they exist or not.

    Args:
        run: the run's folder.
        rank: whose; None = the batch script's, with srun's words.

    Raises:
        UserError: this is no run's folder, or its jobs are not Slurm's.
    """
    run = _one_run(run)
    jobs = read_jobs(run.parent, None)
    places = jobs.places.get(run.name, ())
    if any(place.job is None for place in places):  # perhaps the queue knows whose job it is
        places = read_jobs(run.parent, ask_queue()[0]).places.get(run.name, ())
    if not places:
        raise UserError(
            f"{run} was not submitted to Slurm, so its output is where it was started; `rlavr "
            "status` and `rlavr why` say what its folder holds"
        )
    return [_log(place, rank) for place in places if place.job is not None]


def _one_run(folder: Path) -> Path:
    found = [run for run in find_runs(folder) if not run.foreign] if folder.is_dir() else []
    if len(found) > 1:
        raise UserError(name_one(folder, [run.name for run in found]))
    if not found:
        raise UserError(f"{folder} is not a run's folder, and no run lies below it")
    return Path(os.path.abspath(found[0].folder))  # noqa: PTH100 - links stay as they were named


def _log(place: RunLocation, rank: int | None) -> JobLog:
    assert place.job is not None
    return JobLog(path=place.submission.log(place.index, rank), job=place.job)


def last_lines(path: Path, count: int, *, until: int | None = None) -> list[str]:
    """The last lines of a file, however large; none where it cannot be read.

    Args:
        path: the file.
        count: how many at most.
        until: read only this many bytes from its start; None = all.
    """
    try:
        with path.open("rb") as file:
            end = file.seek(0, 2) if until is None else until
            start = file.seek(max(0, end - CHUNK))
            text = file.read(end - start).decode(errors="replace")
    except OSError:
        return []
    return _as_shown(text)[-count:] if count > 0 else []


def _as_shown(text: str) -> list[str]:
    r"""Lines as a terminal shows them: what a progress bar overwrote by `\r` is gone."""
    lines = (line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    return [line.rstrip() for line in lines if line.strip()]


def follow(run: Path, *, rank: int | None, offset: int) -> Iterator[JobLog | bytes]:
    """What is written from now on: a log when it is turned to, then its bytes; ends when done.

    Args:
        run: the run's folder.
        rank: whose log.
        offset: where to begin in the newest log that exists; other logs are read from the start.
    """
    run = _one_run(run)
    at, current, looked, finished = offset, None, 0.0, False
    while True:
        if time.monotonic() - looked >= LOOK_SECONDS:
            looked = time.monotonic()
            newest = next((log for log in logs_of(run, rank=rank) if log.exists), None)
            if newest is not None and newest != current:
                at = at if current is None else 0
                current = newest
                yield newest
        data = _read_from(current.path, at) if current else b""
        if data is None:  # cut short: it was replaced
            at = 0
            continue
        at += len(data)
        if data:
            yield data
            continue
        if finished:
            return
        finished = is_done(run)  # once more, for what was written meanwhile
        time.sleep(POLL_SECONDS)


def _read_from(path: Path, offset: int) -> bytes | None:
    """What follows; None where the file is shorter than that."""
    with path.open("rb") as file:
        if file.seek(0, 2) < offset:
            return None
        file.seek(offset)
        return file.read(CHUNK)
