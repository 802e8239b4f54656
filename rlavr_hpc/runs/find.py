"""The finder: every command finds the runs at or below a folder with `find_runs`.

A run is found at any depth: by its sweep's plan, or by the files that every run leaves. Links are
followed once, after everything else, so that a loop ends and a run keeps its own name.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from rlavr_hpc.runs import attempts, submissions
from rlavr_hpc.runs.done import DONE_FILE
from rlavr_hpc.runs.folder import CONFIG
from rlavr_hpc.runs.heartbeat import STATUS_FILE
from rlavr_hpc.runs.sweep_plan import CODE, PLAN, read_plan

RUN_FILES = frozenset({attempts.FOLDER, "ledger", "ungradable", "stops", STATUS_FILE, DONE_FILE})
"""One of them tells a run's folder, even where its config was deleted."""
COMMON_NAMES = frozenset({"metrics", "failures", "checkpoints", "provenance"})
"""They tell a run's folder beside a config.yaml; alone they stand in any project."""
FIRST_METRICS = "1.jsonl"
OUR_CONFIG = b"version:"
"""How a run's config.yaml begins. Any other may be a folder of Hydra's."""
NAMED = 8
"""Runs that a message names."""
NO_CONFIG = f"holds a run's record but no {CONFIG}; it was deleted: restore it from a copy"

Inode: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFolder:
    """One run, or one thing in the way of finding runs."""

    folder: Path
    name: str
    """Relative to the folder that was searched; a run that was named itself has its own."""
    run_id: str | None = None
    """As planned by its sweep; None where no plan names the run."""
    overrides: tuple[str, ...] = ()
    """Those that tell it from the other runs of its sweep."""
    all_overrides: tuple[str, ...] = ()
    steps: int | None = None
    """As planned."""
    labels_allowed: int | None = None
    """As planned; None = the plan does not say."""
    started: bool = True
    """False: nothing of a run is on disk there."""
    problem: str | None = None
    """What is wrong with it, as the rest of a sentence that begins with the folder."""
    is_plan: bool = False
    """It is a sweep's plan that cannot be used, not a folder."""
    foreign: bool = False
    """No run is at or below it."""


def is_run(folder: Path) -> bool:
    """Whether this folder, which somebody named as a run's, is one."""
    names = _list(folder)
    return not isinstance(names, str) and (CONFIG in names or bool(RUN_FILES & names))


def find_runs(top: Path) -> list[FoundFolder]:
    """Every run at or below `top`: planned ones in the order of their plan, others by name.

    Also what is not a run, marked as foreign, and what cannot be read, with its problem.
    """
    if is_run(top) and PLAN not in _list(top):
        return [found_run(top)]
    return list(_search(top, top, _inodes([top])))


def name_one(folder: Path | str, names: Sequence[str]) -> str:
    """What a command says that takes one run and was given a folder of several.

    Args:
        folder: as the user named it.
        names: of the runs, relative to it.
    """
    shown = [os.path.normpath(os.path.join(folder, name)) for name in names[:NAMED]]  # noqa: PTH118
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    count = f"{len(names)} runs; name one" if len(names) > 1 else "1 run; name it"
    return f"{folder} holds {count}: {', '.join(shown)}{more}"


def found_run(folder: Path) -> FoundFolder:
    """The run in this folder, with what its sweep's plan says of it."""
    absolute = Path(os.path.abspath(folder))  # noqa: PTH100 - links stay as they were named
    for planned in _planned(absolute.parent, absolute.parent):
        if planned.folder.name == absolute.name and not planned.is_plan:
            return replace(planned, folder=folder, name=absolute.name)
    names = _list(folder)
    problem = names if isinstance(names, str) else None if CONFIG in names else NO_CONFIG
    return FoundFolder(folder=folder, name=absolute.name, problem=problem)


def _search(top: Path, folder: Path, seen: set[Inode]) -> Iterator[FoundFolder]:
    names = _list(folder)
    if isinstance(names, str):
        yield FoundFolder(folder=folder, name=_name(top, folder), started=False, problem=names)
        return
    planned = list(_planned(top, folder)) if PLAN in names else []
    yield from planned
    seen |= _inodes(found.folder for found in planned if not found.is_plan)
    skipped = {CODE, submissions.FOLDER} if planned else set()  # what launchers keep beside runs
    below = [folder / name for name in names - skipped if not name.startswith(".")]
    for path in sorted(below, key=_links_last):
        try:
            inode = _inode(path)
        except PermissionError as error:
            problem = f"cannot be read: {error.strerror}"
            yield FoundFolder(folder=path, name=_name(top, path), started=False, problem=problem)
            continue
        if inode is None or inode in seen:
            continue  # a file, a planned run, or a link to what was found already
        seen.add(inode)
        yield from _inspect(top, path, seen)


def _links_last(path: Path) -> tuple[bool, str]:
    return os.path.islink(path), path.name  # noqa: PTH114 - never raises, unlike Path.is_symlink


def _inspect(top: Path, path: Path, seen: set[Inode]) -> Iterator[FoundFolder]:
    names = _list(path)
    if isinstance(names, str):
        yield FoundFolder(folder=path, name=_name(top, path), started=False, problem=names)
    elif _holds_a_record(path, names) or (CONFIG in names and _is_our_config(path, names)):
        problem = None if CONFIG in names else NO_CONFIG
        yield FoundFolder(folder=path, name=_name(top, path), problem=problem)
    else:
        inside = list(_search(top, path, seen))
        if all(found.foreign for found in inside):
            inside = [FoundFolder(folder=path, name=_name(top, path), foreign=True)]
        yield from inside


def _holds_a_record(folder: Path, names: frozenset[str]) -> bool:
    """Whether a run has written here, whatever was deleted since."""
    return bool(RUN_FILES & names) or (
        "metrics" in names and FIRST_METRICS in _list(folder / "metrics")
    )


def _is_our_config(folder: Path, names: frozenset[str]) -> bool:
    if COMMON_NAMES & names:
        return True
    try:
        with (folder / CONFIG).open("rb") as file:
            return file.read(len(OUR_CONFIG)) == OUR_CONFIG
    except OSError:
        return True  # whoever reads the run says why its config cannot be read


def _planned(top: Path, folder: Path) -> Iterator[FoundFolder]:
    """The runs of a sweep's plan; each lies beside it, wherever the sweep was moved to."""
    path = folder / PLAN
    try:
        runs = read_plan(path)
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        problem = f"cannot be used as a sweep's plan, its runs are searched for: {error}"
        name = _name(top, path)
        yield FoundFolder(folder=path, name=name, started=False, problem=problem, is_plan=True)
        return
    shared = set.intersection(*(set(run["overrides"]) for run in runs)) if len(runs) > 1 else set()
    for run in runs:
        yield _planned_run(top, folder, run, shared)


def _planned_run(top: Path, sweep: Path, run: Mapping[str, Any], shared: set[str]) -> FoundFolder:
    own = sweep / os.path.basename(run["folder"].rstrip("/"))  # noqa: PTH119 - a Path is slower
    listed, problem = _list(own), None
    names = frozenset[str]() if isinstance(listed, str) else listed
    if isinstance(listed, str):
        problem = listed
    elif RUN_FILES & names and CONFIG not in names:
        problem = NO_CONFIG
    return FoundFolder(
        folder=own,
        name=_name(top, own),
        run_id=run["run_id"],
        overrides=tuple(o for o in run["overrides"] if o not in shared),
        all_overrides=tuple(run["overrides"]),
        steps=run.get("steps"),
        labels_allowed=run.get("labels_allowed"),
        started=CONFIG in names or bool(RUN_FILES & names),
        problem=problem,
    )


def _list(folder: Path) -> frozenset[str] | str:
    """The names in a folder, none where there is no folder, or why they cannot be read."""
    try:
        return frozenset(os.listdir(folder))  # noqa: PTH208 - a third of the time of iterdir
    except FileNotFoundError:
        return frozenset()
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _inodes(folders: Iterable[Path]) -> set[Inode]:
    found: set[Inode] = set()
    for folder in folders:
        with suppress(PermissionError):  # reported where the folder itself is read
            if inode := _inode(folder):
                found.add(inode)
    return found


def _inode(path: Path) -> Inode | None:
    """Tells a folder from all others, whatever its name; None where there is no folder.

    Raises:
        PermissionError: the folder that holds it may be listed, but not entered.
    """
    try:
        found = os.stat(path)  # noqa: PTH116 - faster than Path.stat
    except PermissionError:
        raise
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISDIR(found.st_mode) else None


def _name(top: Path, path: Path) -> str:
    return os.path.relpath(path, top)
