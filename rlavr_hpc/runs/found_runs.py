"""Which runs lie below a folder, and in which submissions they are. Reads no config: it is slow."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rlavr_hpc.errors import RlavrError
from rlavr_hpc.runs.queued_job import QueuedJob
from rlavr_hpc.runs.submissions import (
    FOLDER,
    Submission,
    read_submission,
    submission_folders,
)

PLAN = "sweep.json"
PLAN_VERSION = 1
CONFIG = "config.yaml"
TRACES = frozenset({"attempts", "status.json", "stops", "failures", "DONE.json"})
"""At least one of them lies in the folder of every run that has ever begun."""
DEPTH = 4
"""How far below a folder runs are searched for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRuns:
    """One run that is planned, there, or both."""

    run: Path
    name: str
    """Relative to the folder that was searched."""
    overrides: tuple[str, ...] = ()
    """Those that tell it from the other runs of its sweep."""
    steps: int | None = None
    """As planned."""
    labels_allowed: int | None = None
    """As planned; None = nothing is said of it."""
    problem: str | None = None
    """With its sweep's plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLocation:
    """A run's place in a submission."""

    submission: Submission
    index: int

    @property
    def job(self) -> str | None:
        """A_T; None where no job is on record."""
        array = self.submission.job
        return None if array is None else f"{array}_{self.index}"


@dataclass(slots=True, kw_only=True)
class Jobs:
    """The jobs of a sweep's runs: what was submitted, and what of it is in the queue."""

    places: Mapping[str, Sequence[RunLocation]]
    """By the name of the run's folder, newest submission first."""
    queue: Mapping[str, QueuedJob] | None
    """By A_T; None = there is no Slurm here."""
    problems: list[str] = field(default_factory=list)

    def queued(self, run: Path, *, besides: str | None = None) -> list[QueuedJob]:
        """The run's jobs that wait or run, of the newest submission first.

        Args:
            run: the run's folder.
            besides: a job that is the run's too if it is in the queue (A_T).
        """
        if self.queue is None:
            return []
        names = dict.fromkeys([*(p.job for p in self.places.get(run.name, ())), besides])
        return [self.queue[name] for name in names if name is not None and name in self.queue]


def find_runs(folder: Path) -> list[Path]:
    """The folders of all runs at or below `folder`, also of those that are only planned."""
    return [found.run for found in find(folder)]


def find(top: Path) -> list[FoundRuns]:
    """Every run: those of a plan in its order, then the others by name."""
    top = Path(os.path.abspath(top))  # noqa: PTH100 - links stay as the user named them
    if (top / PLAN).exists() or not _is_run(_names(top), strict=False):
        return list(_search(top, top, DEPTH))
    for found in _planned(top.parent, top.parent, _names(top.parent)):
        if found.run.name == top.name:
            return [
                FoundRuns(
                    run=top,
                    name=top.name,
                    overrides=found.overrides,
                    steps=found.steps,
                    labels_allowed=found.labels_allowed,
                )
            ]
    return [FoundRuns(run=top, name=top.name)]


def read_jobs(sweep: Path, queue: Iterable[QueuedJob] | None) -> Jobs:
    """The jobs of a sweep's runs; a submission whose job was not put on record is found by its tag.

    Args:
        sweep: the folder that holds the runs.
        queue: what Slurm lists; None = there is no Slurm here.
    """
    waiting = None if queue is None else {job.name: job for job in queue}
    places: dict[str, list[RunLocation]] = {}
    problems = []
    for folder in reversed(submission_folders(sweep)):
        try:
            submission = read_submission(folder)
        except (RlavrError, OSError, ValueError) as error:
            problems.append(str(error))
            continue
        if submission.kind != "train":
            continue
        if submission.job is None and waiting is not None:
            submission = _adopt(submission, waiting.values())
        for index, run in enumerate(submission.runs):
            places.setdefault(run.name, []).append(RunLocation(submission=submission, index=index))
    return Jobs(places=places, queue=waiting, problems=problems)


def _adopt(submission: Submission, queue: Iterable[QueuedJob]) -> Submission:
    """Whoever submitted died before the job's id was on disk; the comment tells whose job it is."""
    found = next((job for job in queue if job.comment.strip() == submission.tag), None)
    if found is None:
        return submission
    try:
        return submission.submitted(found.array_job)
    except OSError:  # not ours to write: it is found again the next time
        return replace(submission, job=found.array_job)


def _search(top: Path, folder: Path, depth: int) -> Iterator[FoundRuns]:
    names = _names(folder)
    planned = list(_planned(top, folder, names))
    yield from planned
    known = {found.run.name for found in planned} | {FOLDER}
    for name in sorted(names - known):
        if name.startswith("."):
            continue
        path = folder / name
        below = _names(path)
        if _is_run(below, strict=True):
            yield FoundRuns(run=path, name=_relative(top, path))
        elif depth > 1 and PLAN not in names and not path.is_symlink():
            yield from _search(top, path, depth - 1)


def _names(folder: Path) -> set[str]:
    try:
        return set(os.listdir(folder))  # noqa: PTH208 - a third of the time of iterdir
    except OSError:  # a file, or nothing of ours
        return set()


def _is_run(names: set[str], *, strict: bool) -> bool:
    """Whether these are the files of a run; `strict`: config.yaml, a common name, does not do."""
    return bool(names & TRACES) or (CONFIG in names and not strict)


def _planned(top: Path, folder: Path, names: set[str]) -> Iterator[FoundRuns]:
    """The runs of a sweep's plan; each lies beside it, wherever the sweep was moved to."""
    if PLAN not in names:
        return
    try:
        plan = json.loads((folder / PLAN).read_bytes())
        if plan["version"] != PLAN_VERSION:
            raise ValueError(
                f"version {plan['version']!r} is not {PLAN_VERSION}, the one known here"
            )
        shared = _shared([run["overrides"] for run in plan["runs"]])
        found = [_planned_run(top, folder, run, shared) for run in plan["runs"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        problem = f"{folder / PLAN} cannot be used: {error!r}"
        yield FoundRuns(run=folder / PLAN, name=_relative(top, folder / PLAN), problem=problem)
        return
    yield from found


def _planned_run(top: Path, folder: Path, run: Mapping[str, Any], shared: set[str]) -> FoundRuns:
    name = os.path.basename(str(run["folder"]).rstrip("/"))  # noqa: PTH119 - a Path is far slower
    if name in ("", ".", ".."):
        raise ValueError(f"{run['folder']!r} names no folder")
    own, steps, allowed = folder / name, run.get("steps"), run.get("labels_allowed")
    return FoundRuns(
        run=own,
        name=_relative(top, own),
        overrides=tuple(str(o) for o in run["overrides"] if o not in shared),
        steps=None if steps is None else int(steps),
        labels_allowed=None if allowed is None else int(allowed),
    )


def _shared(overrides: Sequence[Sequence[str]]) -> set[str]:
    """Overrides that all runs have in common: they tell none from another."""
    return set.intersection(*map(set, overrides)) if overrides else set()


def _relative(top: Path, path: Path) -> str:
    return os.path.relpath(path, top)
