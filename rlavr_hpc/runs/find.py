"""Which runs lie in a folder: those that a sweep has planned, and those found below it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rlavr_hpc.runs.attempts import TELLING
from rlavr_hpc.runs.folder import CONFIG
from rlavr_hpc.runs.submissions import FOLDER as SUBMISSIONS
from rlavr_hpc.runs.sweep_plan import CODE, PLAN
from rlavr_hpc.runs.sweep_plan import VERSION as PLAN_VERSION

UNMADE = f"holds a run's record but no {CONFIG}; it was deleted: restore it from a copy"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRecord:
    """One run, or one thing in the way of finding runs."""

    folder: Path
    name: str
    """Relative to the folder that was searched."""
    run_id: str | None = None
    """As planned by its sweep."""
    overrides: tuple[str, ...] = ()
    """Those that tell it from the other runs of its sweep."""
    asked: tuple[str, ...] = ()
    """All of them."""
    started: bool = True
    """False: planned, and nothing is on disk yet."""
    problem: str | None = None
    """Why it cannot be a run's folder, although it should be one."""
    foreign: bool = False
    """Nothing of ours: no run is in it."""


def is_run(folder: Path) -> bool:
    """Whether a run was started in this folder."""
    return (folder / CONFIG).is_file()


def find_runs(top: Path) -> list[FoundRecord]:
    """Everything below `top`: planned runs in the order of their plan, then the others by name."""
    return list(_search(top, top, {top.resolve()}))


def _search(top: Path, folder: Path, seen: set[Path]) -> Iterator[FoundRecord]:
    planned = list(_planned(top, folder))
    yield from planned
    seen |= {found.folder.resolve() for found in planned}
    if planned:  # what its launcher keeps beside the runs of a sweep
        seen |= {(folder / name).resolve() for name in (CODE, SUBMISSIONS)}
    try:
        below = sorted(filter(_is_folder, folder.iterdir()), key=_links_last)
    except OSError as error:
        yield _problem(top, folder, f"cannot be read: {error.strerror}")
        return
    for path in below:
        if path.resolve() in seen:
            continue  # planned, or a link to what was found already
        seen.add(path.resolve())
        yield from _look(top, path, seen)


def _look(top: Path, path: Path, seen: set[Path]) -> Iterator[FoundRecord]:
    try:
        there = {entry.name for entry in path.iterdir()}
    except OSError as error:
        yield _problem(top, path, f"cannot be read: {error.strerror}")
        return
    if CONFIG in there:
        yield FoundRecord(folder=path, name=_name(top, path))
    elif there & set(TELLING):
        yield _problem(top, path, UNMADE)
    else:
        inside = list(_search(top, path, seen))
        if all(found.foreign for found in inside):
            inside = [FoundRecord(folder=path, name=_name(top, path), foreign=True)]
        yield from inside


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".")


def _links_last(path: Path) -> tuple[bool, str]:
    return path.is_symlink(), path.name


def _planned(top: Path, folder: Path) -> Iterator[FoundRecord]:
    """The runs of a sweep's plan; each lies beside it, wherever the sweep was moved to."""
    path = folder / PLAN
    if not path.exists():
        return
    try:
        runs = _read_plan(path)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        yield _problem(top, path, f"is not a sweep's plan, its runs are searched for: {error}")
        return
    shared = set.intersection(*(set(run["overrides"]) for run in runs)) if len(runs) > 1 else set()
    for run in runs:
        own = folder / Path(run["folder"]).name
        differing = tuple(o for o in run["overrides"] if o not in shared)
        found = _planned_run(top, own, run["run_id"], differing)
        yield replace(found, asked=tuple(run["overrides"]))


def _planned_run(top: Path, own: Path, run_id: str, overrides: tuple[str, ...]) -> FoundRecord:
    problem, started = None, False
    try:
        started = is_run(own)
        if not started and any((own / name).exists() for name in TELLING):
            problem = UNMADE
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    return FoundRecord(
        folder=own,
        name=_name(top, own),
        run_id=run_id,
        overrides=overrides,
        started=started,
        problem=problem,
    )


def _read_plan(path: Path) -> Sequence[Mapping[str, Any]]:
    plan = json.loads(path.read_bytes())
    if plan["version"] != PLAN_VERSION:
        raise ValueError(f"version {plan['version']!r} is not {PLAN_VERSION}, the one known here")
    for number, run in enumerate(plan["runs"]):
        texts = [run["folder"], run["run_id"], *list(run["overrides"])]
        if not all(isinstance(text, str) for text in texts):
            raise ValueError(f"run {number} holds a value that is no text")
        if Path(run["folder"]).name in ("", ".."):
            raise ValueError(f"run {number} names no folder: {run['folder']!r}")
    return list(plan["runs"])


def _problem(top: Path, path: Path, text: str) -> FoundRecord:
    return FoundRecord(folder=path, name=_name(top, path), problem=text)


def _name(top: Path, path: Path) -> str:
    return str(path.relative_to(top))
