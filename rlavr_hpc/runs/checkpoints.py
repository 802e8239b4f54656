"""Checkpoints on disk: which there are, and which of them a run may continue from.

A checkpoint is `checkpoints/step_S/`: files, and MANIFEST.json with the size and hash of each and
the state of the run. What has no manifest, or does not match it, is not a checkpoint. LATEST names
the newest one for people and scripts; it decides nothing. No torch here: see
`rlavr_hpc.trainer.checkpoint.write` for the writing.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rlavr_hpc.errors import CheckpointError, UserError
from rlavr_hpc.runs.attempts import Attempt, read_attempts, standing

VERSION = 2
FOLDER = "checkpoints"
MANIFEST = "MANIFEST.json"
LATEST = "LATEST"
STEP_NAME = re.compile(r"step_([0-9]+)")
LEFTOVER = re.compile(r"\.step_[0-9]+\.([0-9]+)\.(?:tmp|old)")
CHUNK = 1 << 22

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingState:
    """What a run is besides its shards, at the end of a step. Every random choice is a function of
    seed, branch and step, so the step is also the cursor of the data and of the learning rate.
    """  # noqa: D205

    step: int
    branch: int
    attempt: int
    """The one that wrote it."""
    world_size: int
    threads: int
    prompts_fingerprint: str
    config_hash: str
    risk: float = 0.0
    """`collapse/risk` after the step."""
    score: float | None = None
    """Held-out mean@n of this step; None where it was not evaluated."""
    score_error: float | None = None
    """Its standard error; None where it is not known."""
    ledger_lines: int = 0
    ledger_head: str | None = None
    """Hash of the last ledger line before it; None in checkpoints of version 1."""
    dashboard: str | None = None
    """Id of the run on the dashboard, which stays the same across attempts."""
    scheduled: bool = True
    """Made by `save_every`, not because of a stop: a roll-back must not depend on stops."""
    unrecorded_metrics: Mapping[str, tuple[float, float]] | None = None
    """Metrics of the step as (total, count), when its evaluation was aborted and is still due."""


def stored_state(state: TrainingState) -> dict[str, Any]:
    """The state as a manifest stores it, where unrecorded metrics are called `owed`."""
    values = asdict(state)
    values["owed"] = values.pop("unrecorded_metrics")
    return values


def read_state(values: Mapping[str, Any]) -> TrainingState:
    """The inverse of `stored_state`; TypeError where it is no such mapping."""
    known = dict(values)
    return TrainingState(unrecorded_metrics=known.pop("owed", None), **known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A checkpoint on disk whose files have the sizes that its manifest says."""

    folder: Path
    state: TrainingState
    files: Mapping[str, Mapping[str, Any]] = field(repr=False)
    """Per file its `size` in bytes and its `sha256`."""

    def verify(self, *, rank: int = 0, ranks: int = 1) -> None:
        """Check this rank's share of the files against their hashes.

        Raises:
            CheckpointError: a file is not what was written.
        """
        for name in sorted(self.files)[rank::ranks]:
            try:
                found = sha256_of(self.folder / name)
            except OSError as error:
                raise CheckpointError(f"{name} cannot be read ({error.strerror})") from error
            if found != self.files[name]["sha256"]:
                raise CheckpointError(f"{name} does not have the content it was written with")


def in_line(state: TrainingState, attempts: Sequence[Attempt]) -> bool:
    """Whether what this checkpoint holds is still part of the run.

    It is not when a later attempt went on from an earlier step: because of a roll-back, or because
    a superseded process wrote it after its successor had begun.
    """
    later = [attempt for attempt in standing(attempts) if attempt.number > state.attempt]
    return all(state.step <= attempt.resumed_from for attempt in later)


def candidates(run_dir: Path) -> Iterator[Checkpoint]:
    """Checkpoints a run may continue from, newest first; logs why others are skipped.

    Sizes are compared here; `Checkpoint.verify` reads the contents.

    Raises:
        UserError: one is of a newer version, or belongs to another user; it is not skipped,
            since its run would then begin again from the start.
    """
    attempts = read_attempts(run_dir)
    for folder in step_folders(run_dir):
        try:
            found = read_manifest(folder)
        except CheckpointError as error:
            log.warning("%s is skipped: %s", folder, error)
            continue
        if in_line(found.state, attempts):
            yield found
        else:
            log.info("%s is skipped: a later attempt went on from an earlier step", folder)


def newest_valid(run_dir: Path) -> Checkpoint | None:
    """The newest checkpoint whose files match its manifest."""
    for found in candidates(run_dir):
        try:
            found.verify()
        except CheckpointError as error:
            log.warning("%s is skipped: %s", found.folder, error)
            continue
        return found
    return None


def read_checkpoint(folder: Path) -> Checkpoint:
    """One checkpoint by its folder, verified.

    Raises:
        UserError: there is none, or it belongs to another user.
        CheckpointError: it does not match its manifest.
    """
    if not (folder / MANIFEST).is_file():
        there = ", ".join(path.name for path in step_folders(folder.parents[1])) or "none"
        raise UserError(f"{folder} is not a complete checkpoint; there are: {there}")
    try:
        found = read_manifest(folder)
        found.verify()
    except CheckpointError as error:
        raise CheckpointError(f"{folder} cannot be used: {error}") from error
    return found


def read_manifest(folder: Path) -> Checkpoint:
    """A checkpoint by its manifest and the sizes of its files.

    Raises:
        UserError: it is of a newer version, or belongs to another user.
        CheckpointError: the manifest is missing or damaged, or a file is missing or too short.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        if manifest["version"] > VERSION:
            raise UserError(f"{folder}: written by a newer version ({manifest['version']})")
        files = {str(name): dict(facts) for name, facts in manifest["files"].items()}
        _check_owner([folder, *(folder / name for name in files)])
        for name, facts in files.items():
            size = (folder / name).stat().st_size
            if size != facts["size"] or not isinstance(facts["sha256"], str):
                raise CheckpointError(f"{name} has {size} bytes instead of {facts['size']}")
        return Checkpoint(folder=folder, state=read_state(manifest["state"]), files=files)
    except FileNotFoundError as error:
        missing = Path(str(error.filename)).relative_to(folder)
        raise CheckpointError(f"{missing} is missing") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"its manifest cannot be used ({error})") from error


def step_folders(run_dir: Path) -> list[Path]:
    """Checkpoint folders, complete or not, newest step first."""
    parent = run_dir / FOLDER
    found = [(int(m[1]), p) for p in parent.glob("step_*") if (m := STEP_NAME.fullmatch(p.name))]
    return [path for _, path in sorted(found, reverse=True)]


def restore_replaced(run_dir: Path) -> None:
    """Put a checkpoint back whose replacement was killed between two renames; on rank 0."""
    for old in (run_dir / FOLDER).glob(".step_*.old"):
        final = old.with_name(old.name.split(".")[1])
        if not final.exists():
            old.rename(final)


def remove_leftovers(run_dir: Path, *, until: int) -> None:
    """Remove what processes left that were killed; not what a successor is writing.

    Args:
        run_dir: the run's folder.
        until: this attempt; folders of later ones stay.
    """
    for path in (run_dir / FOLDER).glob(".*"):
        attempt = LEFTOVER.fullmatch(path.name)
        if attempt is None or int(attempt[1]) <= until:
            shutil.rmtree(path, ignore_errors=True)


def sha256_of(path: Path) -> str:
    """Hash of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _check_owner(paths: Iterable[Path]) -> None:
    """Shards are unpickled, so they must belong to the user."""
    for path in paths:
        if path.stat().st_uid != os.geteuid():
            raise UserError(f"{path} belongs to another user; it is not loaded")
