"""Base models that are built from a seed once, then kept in the cache folder.

A model is built under a lock, in a process of its own with a fixed number of threads: the same
seed gives the same bytes, and the caller's random state stays untouched.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Protocol

from filelock import FileLock

from rlavr_hpc.errors import RlavrError
from rlavr_hpc.io import canonical_json, make_folder


class BaseModelRecipe(Protocol):
    """Everything that a base model's bytes depend on, as a dataclass of plain values."""

    __dataclass_fields__: ClassVar[dict[str, Any]]
    module: ClassVar[str]
    """`python -m MODULE RECIPE_JSON OUT [--quiet]` builds it."""
    threads: ClassVar[int]
    """Of that process."""

    @property
    def digest(self) -> str:
        """Names the folder in the cache."""


def cache_root(environment: Mapping[str, str]) -> Path:
    """`$RLAVR_CACHE`, else the user's cache folder."""
    given = environment.get("RLAVR_CACHE")
    if given:
        return Path(given)
    return Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rlavr_hpc"


def ensure_base_model(recipe: BaseModelRecipe, *, quiet: bool) -> Path:
    """The model's folder in Hugging Face format; built now unless it is cached.

    Args:
        recipe: what to build.
        quiet: no progress bar.

    Raises:
        RlavrError: the build failed.
    """
    home = make_folder(cache_root(os.environ) / "testbed")
    folder = home / recipe.digest
    if folder.exists():
        return folder
    with FileLock(home / f"{recipe.digest}.lock"):
        if folder.exists():  # another process built it while we waited
            return folder
        with tempfile.TemporaryDirectory(prefix=f".{recipe.digest}.", dir=home) as work:
            _build_in_child(recipe, Path(work) / "model", quiet=quiet)
            (Path(work) / "model").rename(folder)
    return folder


def _build_in_child(recipe: BaseModelRecipe, out: Path, *, quiet: bool) -> None:
    environment = {
        k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    }
    environment |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(recipe.threads))
    environment["OMP_WAIT_POLICY"] = (
        "passive"  # spinning threads stall each other on a busy machine
    )
    command = [sys.executable, "-m", recipe.module, canonical_json(asdict(recipe)), str(out)]
    finished = subprocess.run(
        [*command, *(["--quiet"] if quiet else [])],
        env=environment,
        check=False,
        stderr=subprocess.PIPE if quiet else None,
        text=True,
    )
    if finished.returncode != 0:
        raise RlavrError(
            f"building the testbed's base model failed with exit code {finished.returncode}\n"
            f"{finished.stderr or ''}"
        )
