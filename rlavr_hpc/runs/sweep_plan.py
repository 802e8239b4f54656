"""A sweep's plan: ROOT/NAME/sweep.json, on disk before anything starts."""

from __future__ import annotations

import json
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
class Job:
    """One run of a sweep."""

    overrides: tuple[str, ...]
    config: RunConfig
    folder: Path


def write_plan(jobs: Sequence[Job]) -> Path:
    """Add the jobs to ROOT/NAME/sweep.json; runs planned earlier keep their index.

    Returns:
        The plan's path.

    Raises:
        UserError: the folder cannot be written or its plan cannot be read.
    """
    path = jobs[0].folder.parent / PLAN
    try:
        make_folder(path.parent)
        runs = _planned(path) if path.exists() else []
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
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be used: {error}") from error
    return path


def _planned(path: Path) -> list[dict[str, Any]]:
    plan = json.loads(path.read_text())
    if plan["version"] != VERSION:
        raise UserError(f"{path}: version {plan['version']!r} is not {VERSION}, the one known here")
    return list(plan["runs"])
