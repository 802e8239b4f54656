"""What this machine has: its GPUs as the driver tells them, and its memory. No torch.

A GPU's memory is asked of `nvidia-smi`, which comes with the driver; the memory of a machine is
what its kernel, its control group and Slurm leave to this process.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rlavr_hpc.planning.memory import GIB

QUERY = (
    "nvidia-smi",
    "--query-gpu=index,uuid,name,memory.total",
    "--format=csv,noheader,nounits",
)
ANSWER_SECONDS = 20.0
DRIVER = Path("/proc/driver/nvidia")
VISIBLE = "CUDA_VISIBLE_DEVICES"
CGROUPS = Path("/sys/fs/cgroup")
LIMITS = ("memory.max", "memory.limit_in_bytes")
"""Of a control group, in bytes: version 2, version 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundGpu:
    """One GPU that this process may use."""

    name: str
    memory_gib: float


def find_gpus(environment: Mapping[str, str]) -> list[FoundGpu] | None:
    """The GPUs that torch would see, in its order; empty on CPU.

    Returns:
        None where there may be some and nothing is known of them: the driver does not answer, or
        the process has a slice of a GPU (MIG).
    """
    visible = environment.get(VISIBLE)
    if not torch_knows_gpus() or visible == "":
        return []
    try:
        done = subprocess.run(
            QUERY, capture_output=True, text=True, check=False, timeout=ANSWER_SECONDS
        )
    except FileNotFoundError:
        return None if DRIVER.exists() else []
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode or "MIG" in (visible or ""):
        return None if DRIVER.exists() else []
    return read_gpus(done.stdout, visible)


def read_gpus(text: str, visible: str | None) -> list[FoundGpu]:
    """The GPUs that `nvidia-smi` lists, as far as CUDA_VISIBLE_DEVICES lets a program see them.

    As CUDA does, what comes behind an entry that names no GPU is not seen.
    """
    rows = [[part.strip() for part in line.split(",")] for line in text.splitlines()]
    known = [(row[0], row[1], _gpu(row)) for row in rows if len(row) == 4]
    listed = [(index, uuid, gpu) for index, uuid, gpu in known if gpu is not None]
    if visible is None:
        return [gpu for _, _, gpu in listed]
    seen: list[FoundGpu] = []
    for entry in filter(None, (part.strip() for part in visible.split(","))):
        found = [gpu for i, uuid, gpu in listed if entry == i or uuid.startswith(entry)]
        if not found:
            break
        seen.append(found[0])
    return seen


def _gpu(row: list[str]) -> FoundGpu | None:
    try:
        return FoundGpu(name=row[2], memory_gib=int(row[3]) / 1024)
    except ValueError:  # [N/A]: a GPU that shares the machine's memory
        return None


def torch_knows_gpus() -> bool:
    """Whether the installed torch can use one, by its version: 2.13.0+cpu cannot."""
    try:
        return not version("torch").endswith("+cpu")
    except PackageNotFoundError:
        return False


def machine_gib(environment: Mapping[str, str]) -> float:
    """Memory that this process and its like may use here, in GiB."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    asked = environment.get("SLURM_MEM_PER_NODE", "")
    limits = [float(pages), *_cgroup_limits()]
    if asked.isdigit() and int(asked) > 0:  # 0 = all of the node
        limits.append(int(asked) * float(1 << 20))
    return min(limits) / GIB


def _cgroup_limits(groups: Path = Path("/proc/self/cgroup"), root: Path = CGROUPS) -> list[float]:
    """Of this process's control group and those around it, in bytes."""
    try:
        lines = groups.read_text().splitlines()
    except OSError:
        return []
    found: list[float] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        top = root / "memory" if controllers else root
        group = top / path.lstrip("/")
        for folder in (group, *group.parents):
            if folder == top.parent:
                break
            found += _limit(folder)
    return found


def _limit(folder: Path) -> list[float]:
    for name in LIMITS:
        try:
            text = (folder / name).read_text().strip()
        except OSError:
            continue
        return [float(text)] if text.isdigit() else []  # "max" = none
    return []
