"""TRL's own environment, made once and kept in the cache folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from filelock import FileLock

from rlavr_hpc.io import make_folder
from rlavr_hpc.testbed.model_cache import cache_root

TRL = "1.16.0"
TORCH = "2.13.0"
PINS = (f"trl=={TRL}", "transformers==5.19.0", "datasets==5.2.0", "accelerate==1.15.0")
CPU_INDEX = "https://download.pytorch.org/whl/cpu"


def trl_python() -> Path:
    """The environment's Python; installs it first when there is none.

    Raises:
        subprocess.CalledProcessError: the installation failed; pip has said why.
    """
    home = make_folder(cache_root(os.environ) / "venvs")
    folder = home / f"trl-{TRL}-torch-{TORCH}-py{sys.version_info.major}.{sys.version_info.minor}"
    python = folder / "bin/python"
    with FileLock(f"{folder}.lock"):
        if not (folder / ".installed").exists():
            print(f"installing TRL {TRL} into an environment of its own", file=sys.stderr)
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
            _install(python, f"torch=={TORCH}+cpu", spare=("--extra-index-url", CPU_INDEX))
            _install(python, *PINS)
            (folder / ".installed").touch()
    return python


def _install(python: Path, *wanted: str, spare: tuple[str, ...] = ()) -> None:
    command = [str(python), "-m", "pip", "install", "--quiet", *wanted]
    if subprocess.run(command, check=False, stderr=subprocess.PIPE if spare else None).returncode:
        subprocess.run([*command, *spare], check=True)
