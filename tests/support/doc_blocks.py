"""Fenced blocks of the documentation, with the mark that says what a test does with them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUN, SLOW = "test", "slow"
NOT_RUN = {
    "setup": "installs, or runs the test suite",
    "gpu": "needs a GPU, or a model of real size",
    "cluster": "needs a Slurm cluster",
    "network": "needs a network",
    "benchmark": "takes minutes on an idle machine; benchmarks have tests of their own",
    "example": "names of the reader's own stand in it",
}
"""Mark -> why no test runs the block."""
SHELL, PYTHON = ("sh", "bash", "console", "shell"), ("python", "py")
FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```\s*$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block of commands or of Python."""

    page: Path
    line: int
    language: str
    mark: str
    """"" = it has none."""
    body: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """Every page a user reads."""
    return [
        ROOT / "README.md",
        *sorted((ROOT / "docs").glob("*.md")),
        ROOT / "slurm/README.md",
    ]


def blocks(page: Path) -> list[Block]:
    """The blocks of a page that could be run, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for fence in FENCE.finditer(text):
        language, *marks = fence["info"].split() or [""]
        if language not in (*SHELL, *PYTHON):
            continue
        found.append(
            Block(
                page=page,
                line=text.count("\n", 0, fence.start()) + 1,
                language=language,
                mark=" ".join(marks),
                body=fence["body"],
            )
        )
    return found


def untold_fences(page: Path) -> list[str]:
    """Places of fences that do not even say their language."""
    text = page.read_text(encoding="utf-8")
    return [
        f"{page.relative_to(ROOT)}:{text.count(chr(10), 0, fence.start()) + 1}"
        for fence in FENCE.finditer(text)
        if not fence["info"].strip()
    ]
