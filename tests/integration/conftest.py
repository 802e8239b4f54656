"""Runs that several modules look at, none of which writes there; and a disk that is soon full.

Also the order of the files.
"""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import SIX_STEPS, TINY, command, run


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that start vLLM or several ranks come first, then those of many tests.

    `--dist loadfile` gives a process a whole file: a long one at the end would run alone.
    """
    dear = {item.path for item in items if any(map(item.get_closest_marker, ("vllm", "ranks")))}
    tests = Counter(item.path for item in items)
    items.sort(key=lambda item: (item.path not in dear, -tests[item.path], item.path))


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed run that others must equal, in a new interpreter, unlike most of them."""
    folder = tmp_path_factory.mktemp("reference") / "run"
    done = run(*SIX_STEPS, f"run_dir={folder}", fresh=True)
    assert done.returncode == 0, done.stderr
    assert "held-out accuracy" in done.stdout
    return folder


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False).returncode:
        pytest.skip("mounting a small file system needs root and the right to mount")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.fixture(scope="session")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on two ranks, in bfloat16 and with tied embeddings, and its weights told twice."""
    out = tmp_path_factory.mktemp("two") / "out"
    done = command(
        "tests.support.policy_weights",
        str(out),
        *TINY,
        "rollout=hf",
        "steps=2",
        "model.tied_embeddings=true",
        "model.dtype=bfloat16",
        "acquisition=full",
        ranks=2,
    )
    assert done.returncode == 0, done.stderr
    return out
