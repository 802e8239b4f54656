"""A sweep's plan: ROOT/NAME/sweep.json, on disk before anything starts."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.errors import UserError
from rlavr_hpc.io import make_folder, write_atomic

VERSION = 1
PLAN = "sweep.json"
CODE = "code"
"""Folder of a sweep with copies of the program for its jobs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRun:
    """One run of a sweep."""

    overrides: tuple[str, ...]
    config: RunConfig
    folder: Path


def write_plan(jobs: Sequence[PlannedRun]) -> Path:
    """Add the jobs to ROOT/NAME/sweep.json; runs planned earlier keep their index.

    Returns:
        The plan's path.

    Raises:
        UserError: the folder cannot be written or its plan cannot be read.
    """
    path = jobs[0].folder.parent / PLAN
    try:
        make_folder(path.parent)
        runs = read_plan(path) if path.exists() else []
        given = {job.folder.name: job.config.steps for job in jobs}
        known = [Path(run["folder"]).name for run in runs]
        runs = [
            {**run, "steps": given.get(name, run.get("steps"))}
            for name, run in zip(known, runs, strict=True)
        ]
        new = [job for job in jobs if job.folder.name not in known]
        runs += [
            {
                "index": index,
                "overrides": list(job.overrides),
                "run_id": job.folder.name,
                "folder": str(job.folder),
                "steps": job.config.steps,
                "labels_allowed": job.config.labels_allowed(job.config.steps),
            }
            for index, job in enumerate(new, start=len(runs))
        ]
        plan = {"version": VERSION, "name": jobs[0].config.name, "runs": runs}
        write_atomic(path, json.dumps(plan, indent=1) + "\n")
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be used: {error}") from error
    return path


def read_plan(path: Path) -> list[dict[str, Any]]:
    """The runs of a sweep's plan, each with text for `folder`, `run_id` and `overrides`.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not a plan, or of another version.
    """
    try:
        plan = json.loads(path.read_bytes())
        version = plan["version"]
        if version != VERSION:
            raise ValueError(f"version {version!r} is not {VERSION}, the one known here")
        runs: list[dict[str, Any]] = list(plan["runs"])
        for number, run in enumerate(runs):
            _check_planned(number, run)
        return runs
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a sweep's plan: {error!r}") from error


def _check_planned(number: int, run: dict[str, Any]) -> None:
    texts = [run["folder"], run["run_id"], *list(run["overrides"])]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError(f"run {number} has a folder, run_id or override that is not text")
    if os.path.basename(run["folder"].rstrip("/")) in ("", ".", ".."):  # noqa: PTH119 - fast
        raise ValueError(f"run {number} names no folder: {run['folder']!r}")
    for key in ("steps", "labels_allowed"):
        if type(run.get(key)) not in (int, type(None)):
            raise ValueError(f"run {number}: {key} is {run[key]!r}, not a whole number")
