"""Sends what runs without a network have put down, attempt by attempt, with wandb's own command.

`wandb sync` ends with 0 whatever happened, calls a run synced whose upload was refused, and gives
up all attempts after one whose file was cut off by a kill. So it gets whole files only, all
attempts of a run in one call, its words are read, and what has arrived is marked here.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rlavr_hpc.errors import RlavrError, UserError
from rlavr_hpc.io import read_record, write_record
from rlavr_hpc.runs import find
from rlavr_hpc.runs.find import FoundFolder
from rlavr_hpc.runs.queued_job import QueuedJob
from rlavr_hpc.runs.state_types import State
from rlavr_hpc.runs.states import run_state
from rlavr_hpc.telemetry.wandb.environment import without_run_variables
from rlavr_hpc.telemetry.wandb.files import WandbFile, read_wandb_file, wandb_files

VERSION = 1
MARK = "sent.json"
OFFLINE = "offline-run-"
STATE = ".syncstate"
"""wandb's note beside a file on which row it begins; with it a second try repeats no row."""
WANDB = (sys.executable, "-m", "wandb", "sync")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsent:
    """What a run has to send."""

    run_dir: Path
    files: tuple[WandbFile, ...]
    """Of its attempts, in order."""
    empty: int = 0
    """Attempts that were killed before anything of theirs was on disk."""
    growing: bool = False
    """The last attempt is still being written, and left for later."""


def find_runs(folders: Iterable[Path]) -> list[Path]:
    """The run folders at or below `folders` that hold something from a run without network.

    Raises:
        UserError: a folder is missing, or there is nothing.
    """
    given = list(folders)
    if missing := [str(folder) for folder in given if not folder.is_dir()]:
        raise UserError(f"{', '.join(missing)}: no such folder")
    found = {
        attempt.parent.parent.resolve()
        for folder in given
        for place in (FoundFolder(folder=folder, name=""), *find.find_runs(folder))
        for attempt in _offline_attempts(place)
    }
    if not found:
        raise UserError(
            f"nothing to send below {', '.join(map(str, given))}: no run there was started with "
            "tracking=offline"
        )
    return sorted(found)


def _offline_attempts(place: FoundFolder) -> Iterable[Path]:
    """Of a run; below a folder without runs also of those whose dashboard files alone are there."""
    pattern = f"wandb/{OFFLINE}*"
    return place.folder.rglob(pattern) if place.foreign else place.folder.glob(pattern)


def unsent(run_dir: Path, *, queue: Sequence[QueuedJob] | None = None) -> Unsent:
    """What of a run was not sent yet.

    Args:
        run_dir: the run's folder.
        queue: my jobs, as squeue lists them; None = there is no Slurm here.

    Raises:
        RlavrError: a mark is damaged.
        OSError: a file cannot be read.
    """
    paths = wandb_files(run_dir, kind=OFFLINE)
    files = [read_wandb_file(path) for path in paths if not _is_sent(path)]
    growing = (
        bool(files)
        and not files[-1].ended
        and files[-1].path == paths[-1]
        and _may_write(run_dir, queue)
    )
    files = files[:-1] if growing else files
    begun = tuple(file for file in files if file.begun)
    return Unsent(run_dir=run_dir, files=begun, empty=len(files) - len(begun), growing=growing)


def send(ready: Unsent, *, timeout: float, program: Sequence[str] = WANDB) -> None:
    """Send a run's attempts in one go, and mark them.

    Args:
        ready: what to send.
        timeout: seconds; wandb itself tries for hours when the network is away.
        program: wandb's command.

    Raises:
        UserError: nobody is logged in.
        RlavrError: not everything has arrived.
    """
    with tempfile.TemporaryDirectory(prefix="rlavr-sync-") as work:
        folders = [_whole_folder(file, Path(work)) for file in ready.files]
        synced = [Path(f"{path}.synced") for folder in folders for path in folder.glob("*.wandb")]
        for mark in synced:
            mark.unlink(missing_ok=True)  # wandb's own, which it also makes when it has failed
        command = [*program, "--include-synced", *map(str, folders)]
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                cwd=work,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=timeout,
                env=without_run_variables(os.environ),
            )
        except subprocess.TimeoutExpired as error:
            raise RlavrError(
                f"wandb was not done after {timeout:g} s; is there a network? Try again, or allow "
                "more with --timeout"
            ) from error
        _check(done, arrived=all(mark.exists() for mark in synced))
    for file in ready.files:
        sent = {"bytes": file.size, "time": time.time()}
        write_record(file.path.parent / MARK, VERSION, sent)


def _is_sent(path: Path) -> bool:
    """Whether all of the file was sent; what was marked too early is sent again."""
    mark = path.parent / MARK
    return mark.exists() and bool(read_record(mark, VERSION).get("bytes") == path.stat().st_size)


def _may_write(run_dir: Path, queue: Sequence[QueuedJob] | None) -> bool:
    """Whether a process of the run may still write into its files."""
    found = run_state(run_dir, queue=queue)
    return found.is_active or found.state is State.unknown


def _whole_folder(file: WandbFile, work: Path) -> Path:
    """The attempt's folder, or one that looks like it with the file's whole records alone."""
    folder = file.path.parent
    if not file.cut:
        return folder
    copy, state = work / folder.name, f"{file.path.name}{STATE}"
    copy.mkdir()
    for part in folder.iterdir():
        if part.is_dir():
            (copy / part.name).symlink_to(part)
    (copy / state).symlink_to(folder / state)
    with file.path.open("rb") as source:
        (copy / file.path.name).write_bytes(source.read(file.whole))
    return copy


def _check(done: subprocess.CompletedProcess[str], *, arrived: bool) -> None:
    if "No API key configured" in done.stdout:
        raise UserError(
            "wandb does not know who you are: set WANDB_API_KEY, or run `wandb login` once on this "
            "machine"
        )
    lines = [line.removeprefix("wandb: ").strip() for line in done.stdout.splitlines()]
    errors = [line for line in lines if line.upper().startswith("ERROR")]
    if errors or done.returncode or not arrived:
        last = [line for line in lines if line][-1:]
        said = " ".join(dict.fromkeys(errors or last)) or "nothing"
        raise RlavrError(f"wandb ended with {done.returncode} and said: {said}")
