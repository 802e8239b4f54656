"""A desk in a process of its own, as `tests.support.desk` serves it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from rlavr_hpc.labels.desk.access import Access, Person, Role
from rlavr_hpc.labels.desk.journal import DESK, DeskJournal
from rlavr_hpc.labels.desk.place import last_desk
from rlavr_hpc.labels.line_files import start_name

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class RunningDesk:
    """A desk in a process of its own."""

    top: Path
    process: subprocess.Popen[str]
    address: str

    def link(self, name: str, role: Role = Role.annotator) -> str:
        """As the command line makes one."""
        journal = DeskJournal(self.top / DESK, start_name())
        access = Access(journal)
        journal.look()
        return f"{self.address}in#{access.make_link(Person(name=name, role=role))}"

    def end(self, number: int = signal.SIGTERM) -> None:
        """By a signal."""
        if self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(60)
        assert self.process.stdout is not None
        self.process.stdout.close()


def start_desk(top: Path) -> RunningDesk:
    """Serve the runs in a folder; it listens on return."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.desk", str(top)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert "links begin" in line, line
    last = last_desk(top / DESK)
    assert last is not None
    return RunningDesk(top=top, process=process, address=last.address)
