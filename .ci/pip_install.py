"""`pip_install.py ARGUMENTS`: pip install, quiet while it works, plain words when it fails.

All that pip prints goes to install.log in the environment. On failure its errors follow, and what
they mean: which package, which Python, which index, and the way out.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from index import running, situation

NETWORK = re.compile(
    r"NewConnectionError|NameResolutionError|ConnectTimeoutError|Read timed out|ProxyError"
    r"|CERTIFICATE_VERIFY_FAILED|IncompleteRead|Connection broken"
)
NO_MATCH = re.compile(r"No matching distribution found for (\S+)")
NONE_FOR_THIS = re.compile(
    r"no matching distributions available for your environment:\n((?: {4}\S+\n)+)"
)
NO_BUILD = re.compile(r"(?:Failed building wheel for|Failed to build '?)\s*([\w.-]+)")


def explain(output: str, python: str, indexes: str) -> Iterator[str]:
    """What a failed `pip install` lacked, a sentence each.

    Args:
        output: all that pip printed.
        python: X.Y of the Python it ran under.
        indexes: where pip looks, in words.
    """
    if "No space left on device" in output:
        yield "The disk is full: make room, or move what is unpacked with TMPDIR=/path."
    absent = {*NO_MATCH.findall(output), *" ".join(NONE_FOR_THIS.findall(output)).split()}
    network = NETWORK.search(output)
    if network:
        yield (
            f"The network or the index failed ({network[0]}; {indexes}): repeat the command; pip "
            "keeps what it has downloaded."
        )
    elif absent:
        yield (
            f"No wheel of {', '.join(sorted(absent))} for Python {python} at this index "
            f"({indexes}): name an index that has it (PIP_INDEX_URL=...), or take another Python "
            "(make install PYTHON=...)."
        )
    for package in sorted(set(NO_BUILD.findall(output))):
        yield (
            f"{package} has no wheel for Python {python} at this index ({indexes}), and building "
            "it from source failed: the log says why; or take another Python "
            "(make install PYTHON=...)."
        )
    if "ResolutionImpossible" in output and not absent:
        yield (
            f"The versions in constraints-cpu.txt cannot be had together for Python {python} at "
            f"this index ({indexes}): see the log, or take Python 3.11 (make install PYTHON=...)."
        )


def main(arguments: list[str]) -> int:
    """Run pip; its exit code."""
    log = Path(sys.prefix) / "install.log"
    pip = [sys.executable, "-m", "pip", "install", "--no-input", "--progress-bar", "off"]
    pip.append("--no-compile")  # pip does it on one core; the Makefile does it on all
    with log.open("w+", encoding="utf-8", errors="replace") as sink:
        done = subprocess.run([*pip, *arguments], stdout=sink, stderr=sink, check=False)
        sink.seek(0)
        output = sink.read()
    if done.returncode:
        errors = [line for line in output.splitlines() if line.lstrip().startswith("ERROR")]
        said = [*errors[-8:], *explain(output, running(), situation()), f"All of it: {log}"]
        print("\n".join(said), file=sys.stderr)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
