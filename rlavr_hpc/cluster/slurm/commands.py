"""Slurm's own programs: the only module that runs them.

Nothing here needs sacct or slurmdbd; squeue and scontrol know what is queued, running, or ended in
the last minutes (MinJobAge).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from rlavr_hpc.cluster.slurm.environment import environment_for
from rlavr_hpc.errors import RlavrError
from rlavr_hpc.runs.queued_job import QueuedJob

TIMEOUT_SECONDS = 60
SHORT_CHARACTERS = 120
NOT_SET_UP = (
    "Could not establish a configuration source",
    "DNS SRV lookup failed",
    "Unable to process configuration file",
)
"""What Slurm's programs say on a machine without slurm.conf and without a cluster."""
FIELDS = {
    "array_job": "%F",
    "task": "%K",
    "state": "%T",
    "reason": "%r",
    "nodes": "%N",
    "start": "%S",
    "partition": "%P",
    "comment": "%k",
}
"""squeue's format letters; the comment comes last, since it may hold anything."""
NOT_WAITING = "no longer pending|already finished"
"""What scontrol says of a job that has started or ended meanwhile."""


class SlurmError(RlavrError):
    """Slurm refused, did not answer, or is not here."""


def call(*command: str) -> str:
    """Run one of Slurm's programs; returns what it printed.

    Raises:
        SlurmError: it is not installed, failed, or did not answer in a minute.
    """
    return _run(command).stdout


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_SECONDS,
            env=environment_for(os.environ),
            errors="replace",
        )
    except FileNotFoundError:
        raise SlurmError(
            f"{command[0]} is not installed: this is not a node of a Slurm cluster, or its module "
            "is not loaded"
        ) from None
    except subprocess.TimeoutExpired:
        raise SlurmError(
            f"{command[0]} did not answer within {TIMEOUT_SECONDS} s; try again later"
        ) from None
    if done.returncode:
        raise SlurmError(f"{command[0]}: {_message(done.stderr or done.stdout)}")
    return done


def _message(text: str) -> str:
    lines = [re.sub(r"^\w+: (error: )?", "", line) for line in text.splitlines() if line.strip()]
    return "; ".join(lines) or "it failed and gave no reason"


def queue() -> list[QueuedJob]:
    """My jobs that wait or run, array tasks one by one.

    Raises:
        SlurmError: Slurm does not answer.
    """
    text = call("squeue", "-h", "-r", "-u", str(os.getuid()), "-o", "|".join(FIELDS.values()))
    return [_queued(line) for line in text.splitlines() if line.count("|") >= len(FIELDS) - 1]


def ask_queue() -> tuple[list[QueuedJob] | None, str]:
    """My jobs, and why they are not known: None where no Slurm is installed or none answers."""
    if shutil.which("squeue") is None:
        return None, ""
    try:
        return queue(), ""
    except SlurmError as error:
        return None, f"Slurm does not answer ({in_short(error)}): states are told by the folders"


def in_short(error: SlurmError) -> str:
    """Why Slurm does not answer, on one short line."""
    text = " ".join(str(error).split())
    if any(words in text for words in NOT_SET_UP):
        return "it is installed, but this machine belongs to no cluster"
    first = text.split("; ")[0]
    return first if len(first) <= SHORT_CHARACTERS else f"{first[: SHORT_CHARACTERS - 1]}…"


def _queued(line: str) -> QueuedJob:
    values = dict(zip(FIELDS, line.split("|", len(FIELDS) - 1), strict=True))
    task = values.pop("task")
    return QueuedJob(
        array_job=int(values.pop("array_job")), task=int(task) if task.isdigit() else None, **values
    )


def show_job(name: str) -> dict[str, str]:
    """What Slurm remembers of a job, by its own words for it; empty when it knows it no more."""
    try:
        text = call("scontrol", "show", "job", "-o", name)
    except SlurmError as error:
        if "Invalid job id" in str(error):
            return {}
        raise
    lines = text.splitlines()
    return _pairs(lines[0]) if lines else {}


def _pairs(text: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in text.split() if "=" in pair)


def settings() -> dict[str, str]:
    """The cluster's configuration.

    Raises:
        SlurmError: Slurm does not answer.
    """
    pairs = (line.partition("=") for line in call("scontrol", "show", "config").splitlines())
    return {key.strip(): value.strip() for key, found, value in pairs if found}


def partitions() -> dict[str, dict[str, str]]:
    """The partitions' settings by name.

    Raises:
        SlurmError: Slurm does not answer.
    """
    lines = call("scontrol", "show", "partition", "-o").splitlines()
    found = [_pairs(line) for line in lines]
    return {pairs["PartitionName"]: pairs for pairs in found if "PartitionName" in pairs}


def gres(partition: str | None) -> str:
    """Generic resources (GPUs) of a partition's nodes, of all nodes without one."""
    where = ["-p", partition] if partition else []
    return " ".join(sorted(set(call("sinfo", "-h", *where, "-o", "%G").split())))


def submit(script: Path) -> int:
    """Hand a script to sbatch; returns the job's id.

    Raises:
        SlurmError: sbatch refused it, in its own words.
    """
    text = call("sbatch", str(script))
    found = re.search(r"job (\d+)", text)
    if found is None:
        raise SlurmError(f"sbatch answered {text.strip()!r}, which names no job")
    return int(found[1])


def test_only(script: Path) -> str:
    """When and where sbatch says that the script would run; nothing is queued.

    Raises:
        SlurmError: it would be refused.
    """
    done = _run(["sbatch", "--test-only", str(script)])
    return _message(done.stderr or done.stdout)


def requeue(name: str) -> None:
    """Put a running or ended array task back into the queue.

    Raises:
        SlurmError: Slurm refuses; a job that waits already is no error.
    """
    _put_back("requeue", name)


def requeue_held(name: str) -> None:
    """The same, and hold it there until it is released; the job's owner may.

    Raises:
        SlurmError: Slurm refuses; a job that waits already is no error, and is not held.
    """
    _put_back("requeuehold", name)


def release(name: str) -> None:
    """Let a held array task start again; other tasks of its array stay held.

    Raises:
        SlurmError: Slurm refuses; a job that has started or ended meanwhile is no error.
    """
    try:
        call("scontrol", "release", name)
    except SlurmError as error:
        if not re.search(NOT_WAITING, str(error), re.IGNORECASE):
            raise


def _put_back(how: str, name: str) -> None:
    try:
        call("scontrol", how, name)
    except SlurmError as error:
        if "pending" not in str(error).lower():
            raise


def start_now(name: str) -> None:
    """Have a waiting job start as soon as it can, instead of when its requeue delay is over.

    Raises:
        SlurmError: Slurm refuses; a job that has started meanwhile is no error.
    """
    try:
        call("scontrol", "update", f"JobId={name}", "StartTime=now")
    except SlurmError as error:
        if not re.search(NOT_WAITING, str(error), re.IGNORECASE):
            raise


def cancel(names: Iterable[str]) -> None:
    """End jobs for good."""
    call("scancel", *names)
