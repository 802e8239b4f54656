"""What of this place the jobs need: a folder that every node sees, Python, GPUs."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from pathlib import Path

from rlavr_hpc.overview.doctor_finding import DoctorFinding, Severity

SHARED = (
    "nfs",
    "lustre",
    "gpfs",
    "beegfs",
    "ceph",
    "fuse",
    "afs",
    "panfs",
    "pvfs",
    "orangefs",
    "glusterfs",
    "wekafs",
    "vast",
    "9p",
    "virtiofs",
    "smb",
    "cifs",
)
"""How the names of file systems that several nodes share begin."""


def check_folder(root: Path) -> DoctorFinding:
    """Whether runs can be written there, and whether other nodes see them."""
    there = next(p for p in (root.absolute(), *root.absolute().parents) if p.is_dir())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        return DoctorFinding(
            level=Severity.bad,
            topic="folder",
            text=f"{there} cannot be written: {error.strerror}",
            fix="user: another root=",
        )
    return _check_shared("folder", there, fix="user: root= on a file system that every node has")


def check_python() -> DoctorFinding:
    """Whether the nodes see this Python."""
    finding = _check_shared(
        "python",
        Path(sys.prefix),
        fix="user: install into a folder that every node has, or the same on every node",
    )
    text = f"Python {platform.python_version()}, {finding.text}"
    return DoctorFinding(level=finding.level, topic="python", text=text, fix=finding.fix)


def check_gpus(gres: str) -> DoctorFinding:
    """Whether the nodes have GPUs.

    Args:
        gres: as sinfo lists them.
    """
    found = [word for word in gres.split() if "gpu" in word]
    if found:
        return DoctorFinding(level=Severity.ok, topic="GPUs", text=", ".join(found))
    return DoctorFinding(
        level=Severity.warn,
        topic="GPUs",
        text="Slurm knows of none: runs use processors only",
        fix="admin: GresTypes=gpu and the nodes' Gres; user: another partition",
    )


def _check_shared(topic: str, folder: Path, *, fix: str) -> DoctorFinding:
    kind = file_system(folder, Path("/proc/mounts"))
    if kind.startswith(SHARED):
        return DoctorFinding(level=Severity.ok, topic=topic, text=f"{folder} is on {kind}")
    text = f"{folder} is on {kind}: only right where every node sees the same there"
    return DoctorFinding(level=Severity.warn, topic=topic, text=text, fix=fix)


def file_system(folder: Path, mounts: Path) -> str:
    """Which kind of file system a folder is on."""
    kind, longest = "an unknown file system", -1
    path = os.path.realpath(folder)
    for line in mounts.read_text().splitlines() if mounts.exists() else []:
        where, what = line.split()[1:3]
        inside = path == where or path.startswith(where.rstrip("/") + "/")
        if inside and len(where) >= longest:
            kind, longest = what, len(where)
    return kind
