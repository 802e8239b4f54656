"""The run folder: where it is, whether the run may start there, and its config.yaml."""

from __future__ import annotations

import os
from dataclasses import replace
from enum import StrEnum
from pathlib import Path

import yaml

from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.config.tracking import check_dashboard
from rlavr_hpc.errors import OtherRunError, RlavrError, UserError
from rlavr_hpc.io import make_folder, write_atomic
from rlavr_hpc.plugins import check_names
from rlavr_hpc.runs.attempts import token_path
from rlavr_hpc.runs.done import read_done
from rlavr_hpc.runs.identity import (
    changed_keys,
    from_dict,
    hash8,
    hash8_v1,
    hashes_before,
    to_dict,
)

CONFIG = "config.yaml"
HOW_READ = ("grading.extract", "grading.thoughts")
"""Keys whose defaults are others than in version 0.1."""


class StartKind(StrEnum):
    """What a start finds."""

    fresh = "fresh"
    resume = "resume"
    finished = "finished"


def single_run_dir(config: RunConfig) -> Path:
    """`run_dir`, or ROOT/NAME-HASH8.

    Raises:
        UserError: a plug-in of the user's own goes by a name of the program's own, or the dashboard
            cannot show a run under these names.
    """
    check_dashboard(config.tracking, group=config.name)
    if config.run_dir:
        if not (Path(config.run_dir) / CONFIG).exists():
            check_names(config)
        return Path(config.run_dir)
    return _run_folder(Path(config.root), f"{config.name}-", config)


def sweep_run_dir(config: RunConfig) -> Path:
    """ROOT/NAME/HASH8, a run's folder inside a sweep; raises as `single_run_dir`."""
    check_dashboard(config.tracking, group=config.name)
    return _run_folder(Path(config.root) / config.name, "", config)


def _run_folder(parent: Path, prefix: str, config: RunConfig) -> Path:
    """The run's folder; the one that version 0.1 made where there is one and no other."""
    folder, old = parent / f"{prefix}{hash8(config)}", parent / f"{prefix}{hash8_v1(config)}"
    if (old / CONFIG).exists() and not folder.exists():
        return old
    if not folder.exists():
        for before in (parent / f"{prefix}{name}" for name in hashes_before(config)):
            if _lacks_thoughts(before):  # so that the start is refused, and not another run made
                return before
    check_names(config)
    return folder


def _lacks_thoughts(run_dir: Path) -> bool:
    """Whether a run was made before `grading.thoughts` was a key."""
    try:
        return "thoughts:" not in (run_dir / CONFIG).read_text()
    except OSError:
        return False


def check_start(run_dir: Path, config: RunConfig) -> StartKind:
    """What may happen in this folder; reads only.

    Raises:
        UserError: the folder belongs to a run with other settings, or cannot be read.
    """
    try:
        if not (run_dir / CONFIG).exists():
            return _check_empty(run_dir)
        steps_done = read_done(run_dir) or 0
    except OSError as error:
        raise UserError(f"{run_dir} cannot be used: {error}") from error
    except RlavrError as error:
        raise UserError(str(error)) from error
    _refuse_changes(run_dir, read_config(run_dir), config)
    return StartKind.finished if steps_done >= config.steps else StartKind.resume


def read_config(run_dir: Path) -> RunConfig:
    """The config that the run folder was made with.

    Raises:
        UserError: it is missing, damaged or of another version.
    """
    path = run_dir / CONFIG
    try:
        return from_dict(yaml.safe_load(path.read_text()))
    except (OSError, ValueError, AttributeError, yaml.YAMLError) as error:
        raise UserError(f"{path} cannot be used: {error}") from error


def _check_empty(run_dir: Path) -> StartKind:
    if run_dir.exists() and not run_dir.is_dir():
        raise UserError(f"run_dir={run_dir} is a file, a folder is needed")
    # names with a dot are files being written: another rank may be making this folder just now
    if run_dir.is_dir() and any(not p.name.startswith(".") for p in run_dir.iterdir()):
        raise UserError(
            f"{run_dir} is not empty and holds no config.yaml, so it is not a run's folder; "
            "choose another run_dir"
        )
    return StartKind.fresh


def _refuse_changes(run_dir: Path, before: RunConfig, config: RunConfig) -> None:
    changes = {
        key: values
        for key, values in changed_keys(before, config).items()
        if not any(key == a or key.startswith(f"{a}.") for a in config.allow_change)
    }
    if changes:
        listed = ", ".join(f"{key}: {old!r} -> {new!r}" for key, (old, new) in changes.items())
        kept = " ".join(f"{key}={old}" for key, (old, _) in changes.items() if key in HOW_READ)
        as_before = f"go on as before with {kept}; or " if kept else ""
        raise OtherRunError(
            f"{run_dir} holds a run with other settings ({listed}); {as_before}choose another "
            f"run_dir, or allow it with allow_change=[{','.join(changes)}]"
        )


def check_writable(run_dir: Path) -> None:
    """Raise UserError when the run folder surely cannot be made; creates nothing."""
    try:
        there = next(p for p in (run_dir, *run_dir.absolute().parents) if p.exists())
    except OSError as error:
        raise UserError(f"{run_dir} cannot be used: {error.strerror}") from error
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise UserError(
            f"{run_dir} cannot be written: nothing can be created in {there}: it is no folder, is "
            "read-only, or you may not write there"
        )


def open_run_folder(run_dir: Path, config: RunConfig) -> None:
    """Create the folder and its config.yaml.

    What the config leaves to the plan stays as the config of a run that has begun says it: a run
    of version 0.1 has no other record of it.

    Raises:
        UserError: it cannot be created or written, or the run's config cannot be read.
    """
    if (run_dir / CONFIG).exists() and token_path(run_dir, 1).exists():
        config = _passes_as_begun(read_config(run_dir), config)
    try:
        make_folder(run_dir)
        text = yaml.safe_dump(to_dict(config), sort_keys=False, allow_unicode=True)
        write_atomic(run_dir / CONFIG, text)
    except OSError as error:
        raise UserError(
            f"{run_dir} cannot be written: {error.strerror}; choose another root or run_dir"
        ) from error


def _passes_as_begun(before: RunConfig, config: RunConfig) -> RunConfig:
    """The config with what it leaves open about a forward pass as it was before."""
    algorithm, deepspeed = config.algorithm, config.deepspeed
    if algorithm.derives_passes:
        old = before.algorithm
        algorithm = replace(algorithm, micro_batch=old.micro_batch, micro_tokens=old.micro_tokens)
    if deepspeed.gradient_checkpointing is None:
        again = before.deepspeed.gradient_checkpointing
        deepspeed = replace(deepspeed, gradient_checkpointing=again)
    return replace(config, algorithm=algorithm, deepspeed=deepspeed)
