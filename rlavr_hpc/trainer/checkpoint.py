"""Checkpoints: written beside, checksummed, renamed at once; the newest valid one is loaded.

A checkpoint is `checkpoints/step_S/`: DeepSpeed's shards and MANIFEST.json with the size and hash
of every file. What has no manifest, or does not match it, is not a checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from rlavr_hpc.errors import CheckpointError, UserError
from rlavr_hpc.io import canonical_json, make_folder, sync_file, sync_folder, write_atomic
from rlavr_hpc.trainer import ranks
from rlavr_hpc.trainer.deepspeed_policy import DeepspeedPolicy
from rlavr_hpc.trainer.learner import Learner

VERSION = 1
FOLDER = "checkpoints"
MANIFEST = "MANIFEST.json"
STEP_NAME = re.compile(r"step_([0-9]+)")
KEEP = 2
"""Newest checkpoints that stay; an older one goes only after a newer one is complete."""
CHUNK = 1 << 22

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What a run is besides its shards. Every random choice is a function of it."""

    step: int
    branch: int
    attempt: int
    world_size: int
    threads: int
    prompts_fingerprint: str
    config_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A complete checkpoint on disk."""

    folder: Path
    state: State


def save_checkpoint(
    run_dir: Path, policy: DeepspeedPolicy, learner: Learner, state: State,
    *, fence: Callable[[], None],
) -> None:  # fmt: skip
    """Write a checkpoint; it exists for readers only when it is complete. All ranks call this.

    A rank whose shard fails raises at once, without another collective: the others are inside
    DeepSpeed's barrier, and its exit is what makes the launcher end them.

    Args:
        run_dir: the run's folder.
        policy: gives the shards.
        learner: gives what the acquisition policy has learnt, on rank 0.
        state: goes into the manifest.
        fence: raises FencedError when a newer attempt owns the folder; asked on rank 0.

    Raises:
        CheckpointError: it could not be written; older checkpoints are untouched.
    """
    final = run_dir / FOLDER / f"step_{state.step}"
    work = final.with_name(f".{final.name}.{state.attempt}.tmp")
    ranks.on_main(lambda: _prepare(work, fence))
    try:
        policy.save(work)
    except (OSError, RuntimeError) as error:
        raise CheckpointError(f"{final}: cannot be written ({error})") from error
    ranks.barrier()
    ranks.on_main(lambda: _publish(work, final, learner, state, fence))


def _prepare(work: Path, fence: Callable[[], None]) -> None:
    fence()
    make_folder(work.parent)
    for stale in work.parent.glob(".*"):
        shutil.rmtree(stale)
    work.mkdir()


def _publish(
    work: Path, final: Path, learner: Learner, state: State, fence: Callable[[], None]
) -> None:
    try:
        learner.save(work)
        files = {str(p.relative_to(work)): _describe(p) for p in _files(work)}
        manifest = {"version": VERSION, "state": asdict(state), "files": files}
        write_atomic(work / MANIFEST, canonical_json(manifest) + "\n")
        for folder in [p for p in work.rglob("*") if p.is_dir()]:
            sync_folder(folder)
        fence()
        if final.exists():  # an older attempt came this far, and was not continued from here
            final.rename(final.with_name(f".{final.name}.{state.attempt}.old"))
        work.rename(final)
        sync_folder(final.parent)
    except (OSError, RuntimeError) as error:  # torch.save reports a full disk as the latter
        raise CheckpointError(f"{final}: cannot be written ({error})") from error
    for old in _folders(final.parent)[KEEP:]:
        shutil.rmtree(old)
    for leftover in final.parent.glob(".*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _files(folder: Path) -> Iterator[Path]:
    return (p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != MANIFEST)


def _describe(path: Path) -> dict[str, int | str]:
    sync_file(path)
    return {"size": path.stat().st_size, "sha256": _sha256(path)}


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _folders(parent: Path) -> list[Path]:
    """Checkpoint folders, newest step first."""
    steps = [(int(m[1]), p) for p in parent.glob("step_*") if (m := STEP_NAME.fullmatch(p.name))]
    return [path for _, path in sorted(steps, reverse=True)]


def newest_valid(run_dir: Path) -> Checkpoint | None:
    """The newest checkpoint whose files match its manifest; says why others are passed over."""
    for folder in _folders(run_dir / FOLDER):
        try:
            return _read(folder)
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("%s is passed over: %s", folder, error)
    return None


def read_checkpoint(folder: Path) -> Checkpoint:
    """One checkpoint by its folder.

    Raises:
        UserError: there is none, or it belongs to another user.
        CheckpointError: it does not match its manifest.
    """
    if not (folder / MANIFEST).is_file():
        there = ", ".join(path.name for path in _folders(folder.parent)) or "none"
        raise UserError(f"{folder} is no complete checkpoint; there are: {there}")
    try:
        return _read(folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{folder} cannot be used: {error}") from error


def _read(folder: Path) -> Checkpoint:
    manifest = json.loads((folder / MANIFEST).read_text())
    _refuse_strangers([folder, *_files(folder)])
    if manifest["version"] != VERSION:
        raise UserError(f"{folder}: checkpoint version {manifest['version']} is not {VERSION}")
    for name, told in manifest["files"].items():
        path = folder / name
        if path.stat().st_size != told["size"]:
            raise ValueError(f"{name} has {path.stat().st_size} bytes instead of {told['size']}")
        if _sha256(path) != told["sha256"]:
            raise ValueError(f"{name} does not have the content it was written with")
    return Checkpoint(folder=folder, state=State(**manifest["state"]))


def _refuse_strangers(paths: Iterable[Path]) -> None:
    """Shards are unpickled, so they must be the user's own."""
    for path in paths:
        if path.stat().st_uid != os.geteuid():
            raise UserError(f"{path} belongs to another user; it is not loaded")


def check_fits(found: Checkpoint, now: State, *, allowed: frozenset[str]) -> None:
    """Refuse a checkpoint that this process cannot continue exactly.

    Args:
        found: the checkpoint.
        now: this process's own values.
        allowed: config keys that may differ (`allow_change`).

    Raises:
        UserError: other ranks, other threads or other prompts.
    """
    state = found.state
    if state.world_size != now.world_size:
        raise UserError(
            f"{found.folder} was written by {state.world_size} ranks, this start has "
            f"{now.world_size}; start with {state.world_size}"
        )
    if state.threads != now.threads and "cluster.threads" not in allowed:
        raise UserError(
            f"the run used {state.threads} threads a rank, this start would use {now.threads}, and "
            f"results would differ in their last bits; set cluster.threads={state.threads}, or "
            "allow_change=[cluster.threads]"
        )
    if state.prompts_fingerprint != now.prompts_fingerprint and "data" not in allowed:
        raise UserError(
            "the training prompts are not those this run began with (another file, or another "
            "filter); restore them, or allow_change=[data]"
        )
