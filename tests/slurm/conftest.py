"""One Slurm cluster for all tests here, in a folder of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.slurm import scenes

SCRIPTS = Path(__file__).resolve().parents[2] / "slurm/local_cluster"


@dataclass(frozen=True)
class Cluster:
    folder: Path

    def up(self, *options: str) -> None:
        """Start what does not run, with these settings."""
        command = [SCRIPTS / "up.sh", "--dir", self.folder, "--install", *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr

    def configure(self, *, signal: str = "TERM", grace: int = 10) -> None:
        self.up("--signal", signal, "--grace", str(grace))

    def preempt(self, node: str) -> None:
        """Urgent work wants a node, for a second."""
        subprocess.run(
            ["sbatch", "-p", "urgent", "-w", node, "--exclusive", "-t", "1", "-o", "/dev/null",
             "--wrap", "sleep 1"],
            check=True, capture_output=True, timeout=60,
        )  # fmt: skip

    def kill_node(self, name: str) -> None:
        """The node's daemon dies and its jobs' processes live on; Slurm need not find out."""
        pid = int((self.folder / f"slurmd-{name}.pid").read_text())
        os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)
        down = ["scontrol", "update", f"NodeName={name}", "State=DOWN", "Reason=dead"]
        subprocess.run(down, check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    folder = Path(tempfile.mkdtemp(prefix="rlavr-", dir="/tmp"))
    cluster = Cluster(folder)
    cluster.up()
    before = os.environ.get("SLURM_CONF")
    os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
    yield cluster
    subprocess.run([SCRIPTS / "down.sh", "--dir", folder], check=True, timeout=60)
    if before is None:
        del os.environ["SLURM_CONF"]
    else:
        os.environ["SLURM_CONF"] = before
    shutil.rmtree(folder, ignore_errors=True)


EVENTS: list[str] = []


@pytest.fixture
def told() -> Callable[[str, Path], None]:
    """Notes what a run's interruptions cost, for the table at the end."""

    def note(what: str, folder: Path) -> None:
        for lost, first in scenes.costs(folder):
            EVENTS.append(f"{what:48} {lost:8.2f} {first:8.1f}")

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if EVENTS:
        terminalreporter.section("what interruptions cost")
        terminalreporter.write_line(f"{'seconds: work lost, to the first new step':48}")
        for line in EVENTS:
            terminalreporter.write_line(line)
