"""A real Slurm on this machine: two virtual nodes in a temporary folder, for the whole session."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.slurm.scenes import costs

SCRIPTS = Path(__file__).resolve().parents[2] / "slurm/local_cluster"
HERE = Path(__file__).resolve().parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder runs a real Slurm."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slurm)


def wait_for(what: str, holds: Callable[[], bool], seconds: float = 240) -> None:
    """Until it holds; fails with what was waited for."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """One local cluster."""

    folder: Path
    """Everything of it; its path is short, since Unix sockets lie there."""

    def slurm(self, *command: str, check: bool = True) -> str:
        """What one of Slurm's programs prints; jobs write where the cluster lives."""
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            cwd=self.folder,
            env={**os.environ, "SLURM_CONF": str(self.folder / "slurm.conf")},
        )
        assert not check or done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout.strip()

    def submit(self, *options: str) -> str:
        """The id of the submitted job."""
        return self.slurm("sbatch", "--parsable", *options)

    def is_gone(self, job: str) -> bool:
        """Whether squeue lists it no more."""
        return job not in self.slurm("squeue", "-h", "-o", "%A %F").split()

    def up(self, *options: str) -> None:
        """Start what does not run."""
        done = script("up.sh", "--dir", str(self.folder), *options)
        assert done.returncode == 0, done.stderr

    def configure(self, *, signal: str = "", grace: int | None = None) -> None:
        """Change how jobs are told to leave; what is not given stays."""
        options = ["--signal", signal] if signal else []
        self.up(*options, *([] if grace is None else ["--grace", str(grace)]))

    def ask_for(self, nodes: str = "n[1-2]") -> str:
        """Submit urgent work that wants whole nodes, and return at once with its id."""
        count = len(self.slurm("scontrol", "show", "hostnames", nodes).split())
        return self.submit(
            "-p",
            "urgent",
            "--exclusive",
            f"-N{count}",
            "-w",
            nodes,
            "-o",
            "/dev/null",
            "--wrap",
            "sleep 1",
        )

    def preempt(self, nodes: str = "n[1-2]") -> None:
        """Have urgent work take these nodes, until it has ended."""
        job = self.ask_for(nodes)
        wait_for(f"urgent work on {nodes}", lambda: self.is_gone(job))

    def kill_node(self, name: str) -> None:
        """Kill a node's daemon; its jobs go on unwatched."""
        os.kill(int((self.folder / f"slurmd-{name}.pid").read_text()), signal.SIGKILL)


def script(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run up.sh or down.sh; its exit code is not judged."""
    return subprocess.run(
        [str(SCRIPTS / name), *arguments], capture_output=True, text=True, check=False, timeout=900
    )


def start(*options: str) -> Cluster:
    """A new cluster in a folder of its own; skips where there can be none."""
    cluster = Cluster(folder=Path(tempfile.mkdtemp(prefix="rlavr-", dir="/tmp")))
    done = script("up.sh", "--dir", str(cluster.folder), "--install", *options)
    if done.returncode:
        stop(cluster)
        if os.geteuid() != 0 and "missing Debian packages" in done.stderr:
            pytest.skip(done.stderr.strip())
        pytest.fail(f"no cluster: {done.stderr}")
    return cluster


def stop(cluster: Cluster) -> None:
    """End it and remove its folder."""
    done = script("down.sh", "--dir", str(cluster.folder))
    if cluster.folder.is_dir() and not any(cluster.folder.iterdir()):
        cluster.folder.rmdir()
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The cluster that Slurm's programs talk to by themselves in this session."""
    before = os.environ.get("SLURM_CONF")
    cluster = start("--grace", "2")
    os.environ["SLURM_CONF"] = str(cluster.folder / "slurm.conf")
    yield cluster
    if before is None:
        del os.environ["SLURM_CONF"]
    else:
        os.environ["SLURM_CONF"] = before
    stop(cluster)


EVENTS: list[str] = []


@pytest.fixture
def told() -> Callable[[str, Path], None]:
    """Notes what a run's interruptions cost, for the table at the end."""

    def note(what: str, folder: Path) -> None:
        for lost, first in costs(folder):
            EVENTS.append(f"{what:48} {lost:12.2f} {first:20.1f}")

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if EVENTS:
        terminalreporter.section("what interruptions cost, in seconds")
        for line in (f"{'':48} {'done again':>12} {'to first new step':>20}", *EVENTS):
            terminalreporter.write_line(line)
