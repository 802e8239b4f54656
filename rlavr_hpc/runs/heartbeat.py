"""status.json, a run's heartbeat: rank 0 writes it, everybody reads it.

The file also says which process wrote it and into which folder. So a reader can tell a living
process from another one with the same id, and a run's folder from a copy of it.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlavr_hpc.errors import ExitCode
from rlavr_hpc.io import canonical_json, write_atomic
from rlavr_hpc.runs.attempts import token_path
from rlavr_hpc.runs.heartbeat_fault import HeartbeatFault
from rlavr_hpc.runs.pace import StepPace
from rlavr_hpc.runs.pending_labels import PendingLabels
from rlavr_hpc.runs.process import ProcessIdentity, this_process

STATUS_FILE = "status.json"
VERSION = 1
HEARTBEAT_SECONDS = 2.0
PACE = "seconds_per_step"
REMEMBERED = ("labels_bought", "accuracy", "risk", PACE)
WAITING = "waiting"
"""The state of a run that waits for labels and keeps its node."""
PARKED = "parked"
"""The state of a run that has ended until labels are there, with exit code 76."""
GOING_ON = ("starting", "running", WAITING)
PENDING = ("pending", "pending_since", "source")


@dataclass(frozen=True, slots=True, kw_only=True)
class LastHeartbeat:
    """What rank 0 said last. Fields that older files lack are None."""

    state: str
    """starting, running, waiting, done, stopped, parked or failed."""
    step: int
    steps: int
    attempt: int
    time: float
    process: ProcessIdentity | None
    """Who wrote it."""
    host: str
    labels_bought: int | None = None
    labels_allowed: int | None = None
    """For the whole run."""
    accuracy: float | None = None
    risk: float | None = None
    note: str = ""
    """What is wrong with the steps although the run goes on, and what audits say; "" = nothing."""
    seconds_per_step: float | None = None
    exit_code: int | None = None
    job: str | None = None
    """A_T of the job that it ran in; None outside of Slurm."""
    restart: int | None = None
    node: str | None = None
    """Slurm's name of the node."""
    folder: str | None = None
    """The run's folder as its writer called it, absolute."""
    inode: int | None = None
    """Of that folder."""
    pending: int | None = None
    """Labels that it waits for, or waited for when it ended; None = none."""
    pending_since: float | None = None
    """Unix time since when it has waited for them."""
    source: str | None = None
    """Whom it has asked for them."""

    @property
    def alive(self) -> bool:
        """Whether it says that the run goes on."""
        return self.state in GOING_ON

    @property
    def parked(self) -> bool:
        """Whether the run has ended until its labels are there."""
        return self.state == PARKED or self.exit_code == ExitCode.WAITING_FOR_LABELS


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatReading:
    """What reading status.json gave: a heartbeat, a fault, or neither where there is no file."""

    heartbeat: LastHeartbeat | None = None
    fault: HeartbeatFault | None = None
    message: str = ""
    """What is wrong, for people; "" without a fault."""


def read_heartbeat(run_dir: Path) -> HeartbeatReading:
    """The run's last heartbeat. Never raises: a file that cannot be used is a named fault."""
    try:
        with open(run_dir / STATUS_FILE, "rb") as file:  # noqa: PTH123 - faster than Path
            data = file.read()
    except FileNotFoundError:
        return HeartbeatReading()
    except OSError as error:
        return _fault(HeartbeatFault.unreadable, error.strerror or repr(error))
    try:
        values = json.loads(data)
    except (ValueError, RecursionError) as error:
        return _fault(HeartbeatFault.torn, str(error))
    try:
        version = values["version"]
        if type(version) is int and version > VERSION:
            return _fault(HeartbeatFault.newer, f"version {version}; {VERSION} is known here")
        if version != VERSION:
            raise ValueError(f"version {version!r} is not {VERSION}")
        return HeartbeatReading(heartbeat=_parse(values))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        return _fault(HeartbeatFault.foreign, repr(error))


def _fault(fault: HeartbeatFault, detail: str) -> HeartbeatReading:
    return HeartbeatReading(
        fault=fault, message=f"{STATUS_FILE} cannot be used, it is {fault}: {detail}"
    )


def _parse(values: Mapping[str, Any]) -> LastHeartbeat:
    def number(name: str) -> float | None:
        return None if values.get(name) is None else float(values[name])

    def whole(name: str) -> int | None:
        return None if values.get(name) is None else int(values[name])

    def text(name: str) -> str | None:
        return None if values.get(name) is None else str(values[name])

    if not isinstance(values["state"], str) or not math.isfinite(values["time"]):
        raise TypeError(f"state {values['state']!r}, time {values['time']!r}")
    host, pid = str(values["host"]), whole("pid")
    process = None
    if pid is not None:
        process = ProcessIdentity(
            host=host, pid=pid, start_ticks=whole("start_ticks"), boot_id=text("boot_id")
        )
    return LastHeartbeat(
        state=values["state"],
        step=int(values["step"]),
        steps=int(values["steps"]),
        attempt=int(values["attempt"]),
        host=host,
        time=float(values["time"]),
        process=process,
        labels_bought=whole("labels_bought"),
        labels_allowed=whole("labels_allowed"),
        accuracy=number("accuracy"),
        risk=number("risk"),
        note=text("note") or "",
        seconds_per_step=number(PACE),
        exit_code=whole("exit_code"),
        job=text("job"),
        restart=whole("restart"),
        node=text("node"),
        folder=text("folder"),
        inode=whole("inode"),
        pending=whole("pending"),
        pending_since=number("pending_since"),
        source=text("source"),
    )


@dataclass(slots=True)
class Heartbeat:
    """The writer of status.json.

    Values named in REMEMBERED and the note are repeated until there are newer ones, also by the
    next attempt. What a run waits for is repeated until it runs again: its last words tell of it.
    """

    run_dir: Path
    attempt: int
    steps: int
    labels_allowed: int | None = None
    """New labels that the whole run may buy."""
    job: Mapping[str, str | int] = field(default_factory=dict)
    """Slurm's names for what runs here: job, restart, node."""
    _note: str = ""
    _last_write: float = 0.0
    _remembered: dict[str, float] = field(init=False)
    _pending: PendingLabels = field(init=False)
    _pace: StepPace = field(default_factory=StepPace)
    _process: ProcessIdentity = field(default_factory=this_process)

    def __post_init__(self) -> None:
        """Take over what the last attempt knew; a heartbeat that cannot be used has no say."""
        last = read_heartbeat(self.run_dir).heartbeat
        values = {name: getattr(last, name, None) for name in REMEMBERED}
        self._remembered = {name: float(v) for name, v in values.items() if v is not None}
        self._note = last.note if last else ""
        self._pending = PendingLabels(last.pending_since if last else None)

    def beat(self, state: str, *, step: int, **values: float | str | None) -> None:
        """Rewrite the file.

        While running at most every two seconds, and never once a newer attempt owns the run.
        """
        now = time.time()
        known = {
            name: value
            for name, value in values.items()
            if isinstance(value, str) or (value is not None and math.isfinite(value))
        }
        self._note = str(known.pop("note", self._note))
        self._remembered |= {name: float(known.pop(name)) for name in REMEMBERED if name in known}
        if state == "running":
            if (pace := self._pace.after(step, self._remembered.get(PACE))) is not None:
                self._remembered[PACE] = pace
            if now - self._last_write < HEARTBEAT_SECONDS:
                return
        self._last_write = now
        if token_path(self.run_dir, self.attempt + 1).exists():
            return  # the newer attempt writes now; this one is about to be stopped
        status = {
            "version": VERSION,
            "state": state,
            "step": step,
            "steps": self.steps,
            "attempt": self.attempt,
            "host": self._process.host,
            "pid": self._process.pid,
            "start_ticks": self._process.start_ticks,
            "boot_id": self._process.boot_id,
            "folder": os.path.abspath(self.run_dir),  # noqa: PTH100 - links stay as named
            "inode": self.run_dir.stat().st_ino,
            "time": now,
            "labels_allowed": self.labels_allowed,
            **self.job,
            **self._remembered,
            **({"note": self._note} if self._note else {}),
            **self._pending.told(state),
            **known,
        }
        write_atomic(self.run_dir / STATUS_FILE, canonical_json(status) + "\n")

    def wait(self, *, step: int, pending: int, source: str) -> None:
        """Say that the run waits for labels, at most every two seconds; that time is no pace."""
        self._pending.wait(pending, source)
        self._pace.skip()
        if time.time() - self._last_write >= HEARTBEAT_SECONDS:
            self.beat(WAITING, step=step)
