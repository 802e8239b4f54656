"""`host.py VENV`: check this machine, name all that is missing at once, then make the environment.

Run by the Python that will be used, before anything is installed: the standard library alone.
What Debian's packages bring is installed from there when this runs as root.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

GIB = 2**30
STACK_GIB = {False: 6, True: 10}
"""Space for the environment, by whether torch is the plain one, which brings CUDA."""
DOWNLOAD_GIB = {False: 2, True: 5}
"""Space for what is downloaded and unpacked in the folder for temporary files."""
LEAST_GLIBC = (2, 28)
PROBE = "#include <vector>\nint main() { return std::vector<int>(1)[0]; }\n"


@dataclass(frozen=True, kw_only=True)
class Missing:
    """Something this machine lacks."""

    what: str
    why: str
    do: str
    debian: str = ""
    """The package that brings it, where one does."""


def check_venv() -> Iterator[Missing]:
    """Debian ships Python without the module that makes environments."""
    if not importlib.util.find_spec("ensurepip") or not importlib.util.find_spec("venv"):
        package = f"python3.{sys.version_info.minor}-venv"
        yield Missing(
            what=f"venv and ensurepip, modules of Python ({sys.executable})",
            why="everything is installed into an environment of its own, never into the system",
            do=f"install the package {package}, or take a Python of uv, pyenv or conda",
            debian=package if of_debian() else "",
        )


def check_headers() -> Iterator[Missing]:
    """The op is a Python extension."""
    header = Path(sysconfig.get_paths()["include"]) / "Python.h"
    if not header.exists():
        package = f"python3.{sys.version_info.minor}-dev"
        yield Missing(
            what=f"Python's headers ({header})",
            why="DeepSpeed compiles an operator for this CPU",
            do=f"install the package {package} (Fedora: python3.{sys.version_info.minor}-devel), "
            "or take a Python of uv, pyenv or conda, which have their headers",
            debian=package if of_debian() else "",
        )


def check_compiler() -> Iterator[Missing]:
    """`$CXX`, or c++, has to compile C++17."""
    name = os.environ.get("CXX") or "c++"
    why = "DeepSpeed compiles an operator for this CPU"
    do = (
        "install the package g++ (Fedora: gcc-c++); without root: conda install cxx-compiler; "
        "on a cluster: module load gcc; another compiler is named by CXX=..."
    )
    command = name.split()
    if not shutil.which(command[0]):
        yield Missing(what=f"a C++ compiler ({name})", why=why, do=do, debian="g++")
        return
    compile_probe = [*command, "-std=c++17", "-x", "c++", "-fsyntax-only", "-"]
    done = subprocess.run(compile_probe, input=PROBE, capture_output=True, text=True, check=False)
    if done.returncode:
        first = next(iter(done.stderr.splitlines()), f"exit code {done.returncode}")
        yield Missing(what=f"a C++ compiler that knows C++17 ({name}: {first})", why=why, do=do)


def check_libc() -> Iterator[Missing]:
    """PyTorch's and vLLM's wheels are for glibc."""
    kind, version = platform.libc_ver()
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if kind != "glibc" or numbers < LEAST_GLIBC:
        yield Missing(
            what=f"glibc 2.28 or later (here: {kind or 'another C library'} {version})".rstrip(),
            why="the wheels of PyTorch and vLLM are built for it",
            do="use a distribution of 2019 or later that is not Alpine, or a container of one",
        )


def check_disk(venv: Path, *, plain_torch: bool) -> Iterator[Missing]:
    """Room for the environment and for what is unpacked on the way."""
    if (venv / "lib").exists():
        return  # it is brought up to date, which takes little
    folder = existing_parent(venv)
    if not os.access(folder, os.W_OK):
        yield Missing(
            what=f"the right to write in {folder}",
            why=f"the environment {venv} is made there",
            do="clone the project into a folder of yours, or say make install VENV=/path/to/venv",
        )
    temporary = Path(tempfile.gettempdir())
    needs = {folder: STACK_GIB[plain_torch]}
    if folder.stat().st_dev == temporary.stat().st_dev:
        needs[folder] += DOWNLOAD_GIB[plain_torch]
    else:
        needs[temporary] = DOWNLOAD_GIB[plain_torch]
    for place, gib in needs.items():
        free = shutil.disk_usage(place).free
        if free < gib * GIB:
            yield Missing(
                what=f"disk space: {free / GIB:.1f} GiB are free at {place}, {gib} GiB are needed",
                why="PyTorch, vLLM and what they need are unpacked there",
                do="make room, or say make install VENV=/path/to/venv; TMPDIR=... moves the rest",
            )


def existing_parent(path: Path) -> Path:
    """The nearest folder above `path` that is there."""
    return next(folder for folder in path.absolute().parents if folder.is_dir())


def of_debian() -> bool:
    """Whether the Python that runs is one of Debian's packages."""
    return sys.base_prefix == "/usr" and shutil.which("apt-get") is not None


def missing_here(venv: Path, *, plain_torch: bool) -> list[Missing]:
    """All checks."""
    return [
        *check_venv(),
        *check_headers(),
        *check_compiler(),
        *check_libc(),
        *check_disk(venv, plain_torch=plain_torch),
    ]


def report(missing: list[Missing]) -> str:
    """What is missing, why it is needed, what to do."""
    parts = [f"missing: {each.what}\n  why: {each.why}\n  do:  {each.do}\n" for each in missing]
    packages = [each.debian for each in missing if each.debian]
    if packages and shutil.which("apt-get"):
        parts.append(f"All at once, as root: apt-get install {' '.join(packages)}\n")
    return "".join(parts)


def install_debian(packages: list[str]) -> bool:
    """Install with apt-get; False when that failed."""
    print("installing Debian packages:", *packages, flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    update = ["apt-get", "update", "-qq"]
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    for command in (update, install):
        done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False)
        if done.returncode:
            return False
    importlib.invalidate_caches()
    return True


def make_venv(venv: Path) -> None:
    """Make the environment, anew where one of another Python stands."""
    if Path(sys.prefix) == venv.absolute():
        return  # it is the one that runs this
    config = venv / "pyvenv.cfg"
    version = f"version = {platform.python_version()}"
    made_anew = config.exists() and version not in config.read_text().splitlines()
    if made_anew:
        print(f"{venv} was made by another Python and is made anew", flush=True)
    options = ["--clear"] if made_anew else []
    subprocess.run([sys.executable, "-m", "venv", *options, venv], check=True)


def main(venv: Path) -> int:
    """Exit code 0 when the environment stands, 1 when something is missing."""
    plain_torch = bool(os.environ.get("PLAIN_TORCH"))
    missing = missing_here(venv, plain_torch=plain_torch)
    packages = [each.debian for each in missing if each.debian]
    may_install = os.geteuid() == 0 and shutil.which("apt-get") is not None
    if packages and may_install and all(each.debian for each in missing):
        installed = install_debian(packages)
        missing = missing_here(venv, plain_torch=plain_torch)
        if not installed and missing:
            print("apt-get failed; nothing of this project was installed", file=sys.stderr)
    if missing:
        print(report(missing), end="", file=sys.stderr)
        return 1
    make_venv(venv)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
