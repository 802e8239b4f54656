"""The local cluster does what the tests on it rely on."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm.conftest import SCRIPTS, Cluster, script, start, stop, wait_for

LISTENER = """#!/bin/bash
srun --overlap bash -c '
  told() { echo "$1 $SLURM_ARRAY_TASK_ID ${SLURM_RESTART_COUNT:-0}" >>%s; }
  trap "told TERM; ((++asked > 1)) && exit 1" TERM
  trap "told USR2; ((++asked > 1)) && exit 1" USR2
  told start
  for _ in {1..600}; do sleep 0.1; done'
"""
"""Notes its signals; it leaves at the second, which is when it has been requeued."""


@pytest.fixture
def beside() -> Iterator[Cluster]:
    other = start()
    yield other
    stop(other)


@pytest.fixture
def accounted() -> Iterator[Cluster]:
    other = start("--accounting")
    yield other
    stop(other)


def test_a_job_runs_on_both_nodes(cluster: Cluster) -> None:
    told = cluster.slurm("srun", "-N2", "bash", "-c", "echo $SLURMD_NODENAME")

    assert sorted(told.split()) == ["n1", "n2"]


def test_a_preempted_task_gets_the_signal_that_is_set_and_comes_back(
    cluster: Cluster, tmp_path: Path
) -> None:
    notes, listener = tmp_path / "notes", tmp_path / "listener.sh"
    notes.touch()
    listener.write_text(LISTENER % notes)
    array = cluster.submit(
        "--array=1-2",
        "--exclusive",
        "--requeue",
        "--signal=USR2@60",
        "-t5",
        "-o",
        "/dev/null",
        str(listener),
    )

    def has(*wanted: str) -> bool:
        return set(wanted) <= set(notes.read_text().splitlines())

    wait_for("both tasks", lambda: has("start 1 0", "start 2 0"))
    tasks = dict(
        line.split() for line in cluster.slurm("squeue", "-h", "-r", "-o", "%N %K").splitlines()
    )
    cluster.configure(signal="TERM")
    urgent = [cluster.ask_for("n1")]
    wait_for("TERM on n1", lambda: has(f"TERM {tasks['n1']} 0"))
    assert "USR2" not in notes.read_text()
    cluster.configure(signal="USR2")
    urgent.append(cluster.ask_for("n2"))
    wait_for("USR2 on n2", lambda: has(f"USR2 {tasks['n2']} 0"))
    assert f"TERM {tasks['n2']} 0" not in notes.read_text()
    assert f"USR2 {tasks['n1']} 0" not in notes.read_text()
    wait_for("the urgent work", lambda: all(cluster.is_gone(job) for job in urgent))

    wait_for("both tasks again", lambda: has("start 1 1", "start 2 1"))
    cluster.slurm("scancel", array)
    cluster.configure(signal="TERM")


def test_a_killed_node_comes_back_though_it_was_marked_down(cluster: Cluster) -> None:
    cluster.kill_node("n1")
    cluster.slurm("scontrol", "update", "NodeName=n1", "State=DOWN", "Reason=test")

    cluster.up()

    assert cluster.slurm("srun", "-w", "n1", "bash", "-c", "echo $SLURMD_NODENAME") == "n1"


def test_clusters_do_not_disturb_each_other(cluster: Cluster, beside: Cluster) -> None:
    both = (cluster, beside)
    assert len({(each.folder / "port").read_text() for each in both}) == 2
    assert [each.slurm("srun", "echo", "ran") for each in both] == ["ran", "ran"]

    stop(beside)

    assert not beside.folder.exists()
    assert cluster.slurm("srun", "-N2", "echo", "ran") == "ran\nran"


def test_jobs_of_a_killed_node_end_with_the_cluster(beside: Cluster, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    job = f"env -i sleep 300 & echo $! >{pid}; wait"
    beside.submit("-w", "n1", "-o", "/dev/null", "--wrap", job)
    wait_for("the job", lambda: pid.exists() and pid.read_text().strip() != "")
    process = Path("/proc") / pid.read_text().strip()
    beside.kill_node("n1")
    assert process.exists()

    stop(beside)

    wait_for("its end", lambda: not _runs(process))
    assert not beside.folder.exists()


def _runs(process: Path) -> bool:
    return process.exists() and " Z " not in (process / "stat").read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_an_ordinary_user_has_a_cluster_too(cluster: Cluster) -> None:
    home = Path(tempfile.mkdtemp(prefix="rlavr-", dir="/tmp"))
    scripts = shutil.copytree(SCRIPTS, home / "scripts")
    os.chown(home, 65534, 65534)

    def as_nobody(command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "bash", "-c", command],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            cwd=home,
            env={"PATH": os.environ["PATH"], "HOME": str(home)},
        )

    done = as_nobody(f'set -e; eval "$({scripts}/up.sh)"; srun -N2 id -u')
    ended = as_nobody(f"{scripts}/down.sh")
    left = list((home / ".cache/rlavr_hpc").iterdir())
    shutil.rmtree(home)

    assert done.stdout.split() == ["65534", "65534"], done.stderr
    assert ended.returncode == 0, ended.stderr
    assert left == []


def test_a_taken_port_is_an_error_that_names_the_log() -> None:
    folder = Path(tempfile.mkdtemp(prefix="rlavr-", dir="/tmp"))
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        (folder / ".rlavr_cluster").touch()
        (folder / "port").write_text(str(taken.getsockname()[1]))

        done = script("up.sh", "--dir", str(folder), "--install")

    ended = script("down.sh", "--dir", str(folder))
    assert done.returncode == 1
    assert f"slurmctld does not start; see {folder}/slurmctld.log" in done.stderr
    assert ended.returncode == 0
    assert not folder.exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--dri", "x"], "unknown option: --dri"),
        (["--dir"], "--dir needs a value"),
        (["--signal", "HUP"], "--signal HUP: TERM or USR2"),
        (["--grace", "soon"], "--grace soon: a number of seconds"),
    ],
)
def test_a_wrong_option_is_told_with_the_usage(arguments: list[str], says: str) -> None:
    done = script("up.sh", *arguments)

    assert done.returncode == 2
    assert says in done.stderr
    assert "usage: up.sh" in done.stderr


def test_a_folder_whose_sockets_had_too_long_names_is_refused() -> None:
    folder = "/tmp/" + "x" * 71

    done = script("up.sh", "--dir", folder)

    assert done.returncode == 1
    assert "76 characters" in done.stderr
    assert not Path(folder).exists()


def test_nothing_of_somebody_else_is_removed(tmp_path: Path) -> None:
    folder = Path(tempfile.mkdtemp(prefix="rlavr-", dir="/tmp"))
    (folder / "thesis").touch()

    begun, ended = (
        script("up.sh", "--dir", str(folder), "--install"),
        script("down.sh", "--dir", str(folder)),
    )
    kept = [path.name for path in folder.iterdir()]
    shutil.rmtree(folder)

    assert begun.returncode == 1
    assert "holds something else already" in begun.stderr
    assert ended.returncode == 0
    assert kept == ["thesis"]


@pytest.mark.slow
def test_sacct_knows_an_ended_job_where_there_is_accounting(accounted: Cluster) -> None:
    job = accounted.submit("-o", "/dev/null", "--wrap", "true")

    def has_ended() -> bool:
        said = accounted.slurm("sacct", "-n", "-X", "-P", "-o", "State", "-j", job, check=False)
        return said == "COMPLETED"

    wait_for("sacct", has_ended)
    secret = (accounted.folder / "slurmdbd.conf").stat().st_mode & 0o777
    stop(accounted)

    assert secret == 0o600
    assert not accounted.folder.exists()
