"""Programs that answer orders in tests, and what they were asked."""

from __future__ import annotations

import json
import shlex
import sys
from collections import Counter
from pathlib import Path

from rlavr_hpc.data.load_split import load_split
from rlavr_hpc.runs.folder import read_config

PROGRAM = """
import json, sys
known = json.load(open(sys.argv[1]))
share = int(sys.argv[3])
for number, line in enumerate(sys.stdin):
    order = json.loads(line)
    with open(sys.argv[2], "a") as file:
        file.write(order["key"] + "\\n")
    if number % share == 0:
        print(json.dumps({"key": order["key"], "answer": known[order["prompt_id"]]}), flush=True)
"""


class Answering:
    """A program that knows the answers of a run's data, and counts what it is asked."""

    def __init__(self, folder: Path, like: Path) -> None:
        """Write it into `folder`; `like` is a run on the same data."""
        folder.mkdir(exist_ok=True)
        self._asked = folder / "asked"
        self._program = folder / "answer.py"
        self._program.write_text(PROGRAM)
        self._known = folder / "answers.json"
        answers = load_split(read_config(like).data).train.answers
        self._known.write_text(json.dumps(dict(answers)))

    def command(self, *, share: int = 1) -> str:
        """Overrides of a run that asks it; it answers one of `share` orders of each call."""
        words = [sys.executable, self._program, self._known, self._asked, share]
        return f"labels.command='{shlex.join(map(str, words))}'"

    @property
    def asked(self) -> Counter[str]:
        """How often it was asked each key."""
        return Counter(self._asked.read_text().split()) if self._asked.exists() else Counter()
