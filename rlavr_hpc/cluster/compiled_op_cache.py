"""Where DeepSpeed's compiled op lives, and the lock that a killed build leaves behind.

PyTorch guards a build with a file called `lock` and waits for it for ever, also when its owner was
killed. All our processes build under a lock of our own that dies with its owner; whoever holds it
and still finds PyTorch's file knows that nobody is building.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from filelock import FileLock

from rlavr_hpc.io import make_folder


def prepare_op_cache(environment: MutableMapping[str, str], root: Path) -> Path:
    """Choose the folder of compiled ops, one per Python, torch and CPU type, and find ninja.

    Args:
        environment: TORCH_EXTENSIONS_DIR is set unless it is there; PATH gets this Python's folder.
        root: of this project's caches.

    Returns:
        The folder.
    """
    here = str(Path(sys.executable).parent)
    environment["PATH"] = os.pathsep.join([here, environment.get("PATH", "")])
    name = f"torch_ops/py{sys.version_info.major}{sys.version_info.minor}-{_cpu_digest()}"
    environment.setdefault("TORCH_EXTENSIONS_DIR", str(root / name))
    return make_folder(Path(environment["TORCH_EXTENSIONS_DIR"]))


def _cpu_digest() -> str:
    """Ops are compiled for the very CPU: its flags decide, not only its architecture."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    facts = "|".join([version("torch"), platform.machine(), flags])
    return hashlib.sha256(facts.encode()).hexdigest()[:10]


@contextmanager
def building_alone(folder: Path) -> Iterator[list[Path]]:
    """Hold the build lock of `folder`; yields the dead builds' locks that were removed."""
    with FileLock(folder / ".rlavr.lock"):
        stale = sorted(folder.glob("*/lock"))
        for lock in stale:
            lock.unlink()
        yield stale
