"""The package on another Python of this machine, installed as a user does: `make install`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.ci_scripts import CI, REPOSITORY
from tests.support.commands import TINY

pytestmark = pytest.mark.slow
PLAIN_GIB = 16
"""Disk space below which the build of torch for GPUs is not tried: it unpacks to 8 GiB."""


def other_python() -> Path:
    """The newest fitting Python here that is not the version of this one."""
    done = subprocess.run(
        ["sh", CI / "find-python", "--all"], capture_output=True, text=True, check=True
    )
    here = f"{sys.version_info.major}.{sys.version_info.minor}."
    found = [line.split("\t") for line in done.stdout.splitlines() if not line.startswith(here)]
    if not found:
        pytest.skip(f"every Python here that fits is {here}x")
    return Path(max(found, key=lambda pair: int(pair[0].split(".")[1]))[1])


def install(venv: Path, *choices: str) -> subprocess.CompletedProcess[str]:
    """`make install` into `venv`; variables of an outer make do not reach it."""
    environment = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    command = ["make", "install", f"VENV={venv}", *choices]
    return subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment's interpreter; skips, with the reason, where none can be had."""
    other = other_python()
    venv = tmp_path_factory.mktemp("other") / "venv"
    done = install(venv, f"PYTHON={other}")
    if done.returncode and "PLAIN_TORCH=1" in done.stderr:
        if shutil.disk_usage(venv.parent).free < PLAIN_GIB * 2**30:
            pytest.skip(f"too little disk for the plain torch; {done.stderr}")
        done = install(venv, f"PYTHON={other}", "PLAIN_TORCH=1")
    if done.returncode and ("has no wheel" in done.stderr or "No wheel of" in done.stderr):
        pytest.skip(done.stderr)
    if done.returncode and "pip reaches no package index" in done.stderr:
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stderr
    return venv / "bin" / "python"


def test_the_light_commands_and_a_run_work(python: Path, tmp_path: Path) -> None:
    def call(verb: str, *arguments: str) -> str:
        done = subprocess.run(
            [python, "-m", "rlavr_hpc", verb, *arguments],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        assert "leaked" not in done.stderr
        return done.stdout

    root = tmp_path / "runs"
    assert "usage: rlavr run" in call("run", "--help")
    call("run", "--hydra-help")
    assert "held-out accuracy" in call("run", *TINY, "rollout=hf", "steps=3", f"root={root}")
    assert "1 done" in call("status", str(root))
    assert "valid" in call("ledger", "verify", str(root))
    sweep = ("-m", "acquisition=none,random", "name=sweep", "rollout=hf", "steps=1")
    call("run", *sweep, *TINY, f"root={root}")
    call("run", *TINY, "rollout=vllm", "steps=1", "name=vllm", f"root={root}")
    call("report", str(root), "--out", str(tmp_path / "report"))
