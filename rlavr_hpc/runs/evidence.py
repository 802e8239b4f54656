"""What a run's folder says about the run: heartbeat, stops, attempts, whether it is done.

Reads as few files as will do, since a sweep has a thousand folders, and takes nothing for granted:
what is torn, missing or of another version becomes a problem in words.
"""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from rlavr_hpc.errors import RlavrError
from rlavr_hpc.runs.attempts import TOKEN_NAME
from rlavr_hpc.runs.failures import Failure, read_failure
from rlavr_hpc.runs.stops import MARK, Cause, Stop, read_stop, stop_path

SCHEMA = 1
"""Of status.json and DONE.json."""
ALIVE = ("starting", "running")
START_NAME = re.compile(r"([0-9]+)(?:_([0-9]+))?\.(-?[0-9]+)\.json")
SLACK_SECONDS = 1.5
"""Between the clocks of the kernel and of the heartbeat."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class LastHeartbeat:
    """status.json: what rank 0 said last."""

    state: str
    """starting, running, done, stopped or failed."""
    step: int
    steps: int
    attempt: int
    host: str
    time: float
    pid: int | None = None
    labels_bought: int | None = None
    labels_allowed: int | None = None
    """For the whole run; None = nothing is said of it."""
    accuracy: float | None = None
    risk: float | None = None
    seconds_per_step: float | None = None
    exit_code: int | None = None
    job: str | None = None
    """A_T of the job that it ran in; None outside of Slurm and in older files."""
    restart: int | None = None
    node: str | None = None
    """Slurm's name of the node."""

    @property
    def alive(self) -> bool:
        """Whether it says that it goes on."""
        return self.state in ALIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """A run's folder, as far as its state depends on it."""

    run: Path
    beat: LastHeartbeat | None
    done_steps: int | None
    """As DONE.json says; None while the run is not finished."""
    stops: tuple[tuple[int, int, int], ...]
    """(array job, index, restart) of every stop on record, in order; -1 for no array, and as the
    restart of a cancellation."""
    tokens: int
    """How many attempts were begun; 0 where `beat` knows it."""
    there: frozenset[str]
    """What lies in the folder."""
    problem: str | None = None
    """What could not be read."""

    @property
    def attempts(self) -> int:
        """How many attempts were begun."""
        return max(self.tokens, self.beat.attempt if self.beat else 0)

    def ran(self, job: str) -> bool:
        """Whether this job (A_T) has started before."""
        started = any(_job_name(stop) == job and stop[2] != MARK for stop in self.stops)
        return started or (self.beat is not None and self.beat.job == job)

    def cancelled(self, job: str) -> bool:
        """Whether it is on record that this job was cancelled."""
        return any(_job_name(stop) == job and stop[2] == MARK for stop in self.stops)

    def last_stop(self, job: str | None = None) -> Stop | None:
        """The newest stop of this job (of all), of those that had the run; None without one.

        Of the stops of one job its cancellation is the last, whatever the job still wrote.

        Raises:
            RlavrError: the record is damaged.
        """
        stops = [stop for stop in self.stops if job is None or _job_name(stop) == job]
        newest = sorted(stops, key=lambda stop: (stop[0], stop[1], stop[2] == MARK, stop[2]))
        for stop in reversed(newest):
            found = read_stop(stop_path(self.run, _job_name(stop), stop[2]))
            if found.cause is not Cause.fenced:
                return found
        return None

    def last_failure(self) -> Failure | None:
        """The first failure of the newest start that failed; None without a readable one."""
        try:
            paths = [p for p in (self.run / "failures").iterdir() if p.name.endswith(".json")]
            found = [read_failure(path) for path in paths if path.name[0] != "."]
        except (OSError, RlavrError):
            return None
        if not found:
            return None
        newest = max(found, key=lambda failure: failure.time).start
        return min((f for f in found if f.start == newest), key=lambda failure: failure.time)


def read_facts(run: Path) -> RunFacts:
    """What this folder says; a missing one says nothing."""
    problems: list[str] = []
    there = frozenset(_names(run, problems))
    beat = _tolerant(run / "status.json", _read_beat, problems) if "status.json" in there else None
    done = _tolerant(run / "DONE.json", _read_done, problems) if "DONE.json" in there else None
    tokens = 0
    if beat is None and "attempts" in there:
        names = _names(run / "attempts", problems)
        tokens = sum(TOKEN_NAME.fullmatch(name) is not None for name in names)
    return RunFacts(
        run=run,
        beat=beat,
        done_steps=done,
        there=there,
        tokens=tokens,
        stops=_stop_names(run, problems) if "stops" in there else (),
        problem="; ".join(problems) or None,
    )


def _names(folder: Path, problems: list[str]) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - a third of the time of iterdir
    except FileNotFoundError:
        return []
    except OSError as error:
        problems.append(f"{folder} cannot be read: {error.strerror}")
        return []


def _tolerant(path: Path, read: Callable[[dict[str, Any]], T], problems: list[str]) -> T | None:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a third of the time of Path.read_bytes
            told = json.loads(file.read())
        if told["version"] != SCHEMA:
            raise ValueError(f"version {told['version']!r} is not {SCHEMA}, the one known here")
        return read(told)
    except FileNotFoundError:
        return None  # gone since the folder was listed
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        problems.append(f"{path.name} cannot be used: {error!r}")
        return None


def _read_beat(told: dict[str, Any]) -> LastHeartbeat:
    def number(name: str) -> float | None:
        return None if told.get(name) is None else float(told[name])

    def whole(name: str) -> int | None:
        return None if told.get(name) is None else int(told[name])

    def text(name: str) -> str | None:
        return None if told.get(name) is None else str(told[name])

    return LastHeartbeat(
        state=str(told["state"]),
        step=int(told["step"]),
        steps=int(told["steps"]),
        attempt=int(told["attempt"]),
        host=str(told["host"]),
        time=float(told["time"]),
        pid=whole("pid"),
        labels_bought=whole("labels_bought"),
        accuracy=number("accuracy"),
        labels_allowed=whole("labels_allowed"),
        risk=number("risk"),
        exit_code=whole("exit_code"),
        seconds_per_step=number("seconds_per_step"),
        job=text("job"),
        restart=whole("restart"),
        node=text("node"),
    )


def _read_done(told: dict[str, Any]) -> int:
    return int(told["steps"])


def _stop_names(run: Path, problems: list[str]) -> tuple[tuple[int, int, int], ...]:
    matches = [START_NAME.fullmatch(name) for name in _names(run / "stops", problems)]
    return tuple(
        sorted((int(m[1]), -1 if m[2] is None else int(m[2]), int(m[3])) for m in matches if m)
    )


def _job_name(stop: tuple[int, int, int]) -> str:
    return str(stop[0]) if stop[1] < 0 else f"{stop[0]}_{stop[1]}"


def process_lives(facts: RunFacts) -> bool | None:
    """Whether the newest attempt's process lives; None where that cannot be seen from this host."""
    beat = facts.beat
    host, pid, told = (beat.host, beat.pid, beat.time) if beat else (None, None, None)
    if pid is None:
        host, pid = _token(facts)
    if pid is None or host != socket.gethostname():
        return None
    begun = _process_start(pid)
    return begun is not None and (told is None or begun < told + SLACK_SECONDS)


def _token(facts: RunFacts) -> tuple[str | None, int | None]:
    path = facts.run / "attempts" / f"{facts.attempts}.json"
    try:
        told = json.loads(path.read_bytes())
        return str(told["host"]), int(told["pid"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None, None


def _process_start(pid: int) -> float | None:
    """When it began (unix time); None when there is no such process, or only its remains."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = re.search(r"^btime (\d+)", Path("/proc/stat").read_text(), re.MULTILINE)
        if fields[0] in "ZX" or boot is None:
            return None
        return int(boot[1]) + int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError):
        return None
