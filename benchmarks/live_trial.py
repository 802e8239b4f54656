"""A run with live labels, its bridge and its counting program: started, killed, checked."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.killed_processes import TAG, kill_all
from benchmarks.live_check import CAP, STEPS, check_ended, orders_in_flight
from rlavr_hpc.data.load_split import load_split
from rlavr_hpc.runs.folder import read_config
from rlavr_hpc.runs.heartbeat import STATUS_FILE

REPOSITORY = Path(__file__).resolve().parents[1]
JOB, BRIDGE, BOTH = "job", "bridge", "both"
OVERRIDES = (
    f"steps={STEPS}",
    "save_every=3",
    "eval_every=10",
    f"budget_cost={CAP}",
    "algorithm.batch=16",
    "algorithm.mini_batch=8",
    "algorithm.group_size=4",
    "eval.samples=2",
    "data.eval_limit=8",
    "model.pretrain_steps=400",
    "acquisition=care",
    "acquisition.settings.warmup_steps=2",
    "cluster.threads=1",
    "rollout=hf",
)
LIVE = ("labels=command", "labels.inline=false", "labels.poll=0.1", "labels.patience=100000")
POLL, BRIDGE_POLL = 0.02, 0.2
LIMIT = 600.0
"""Seconds without the end of a run, or without the moment of a kill, that count as hanging."""
PROGRAM = """
import json, os, sys, time
known = json.load(open(sys.argv[1]))
for number, line in enumerate(sys.stdin):
    order = json.loads(line)
    count = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(count, (order["key"] + "\\n").encode())
    os.close(count)
    time.sleep(0.05)
    if number % 2 == 0:
        print(json.dumps({"key": order["key"], "answer": known[order["prompt_id"]]}), flush=True)
"""
"""Counts each key that it is asked before it answers every other one; the rest waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Who is to be killed, and when."""

    target: str
    in_flight: bool
    """Counted from when orders are open and the job's attempt has begun, else from the start of the
    processes."""
    delay: float
    """Seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KilledAt:
    """One kill, and what the run was doing."""

    target: str
    place: str
    """The job's state by its heartbeat."""
    step: int
    in_flight: int
    """Orders without an answer."""


@dataclass(slots=True, kw_only=True)
class LiveTrial:
    """A run that is killed and continued; a context, so that no process outlives it."""

    folder: Path
    reference: Path
    """An undisturbed run with the data set's labels."""
    killed: list[KilledAt] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """What does not hold at the end."""
    facts: dict[str, Any] = field(default_factory=dict)
    _attempts_before: int = 0
    """When the job that runs was started."""
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _tag: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __enter__(self) -> Self:
        """Write the program."""
        self.side.mkdir(parents=True)
        answers = load_split(read_config(self.reference).data).train.answers
        (self.side / "answers.json").write_text(json.dumps(dict(answers)))
        (self.side / "answer.py").write_text(PROGRAM)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """End what still runs."""
        for tag in (f"{self._tag}-{JOB}", f"{self._tag}-{BRIDGE}"):
            kill_all(tag)

    @property
    def side(self) -> Path:
        """Folder of the program, its count, and the processes' words."""
        return self.folder.with_name(f"{self.folder.name}.side")

    def kill(self, moment: Moment) -> bool:
        """Start what does not run, and kill at the moment; False when the run ended before."""
        self._start_missing()
        deadline = time.monotonic() + LIMIT
        while not self._ready(moment):
            if self._ended() or time.monotonic() > deadline:
                return False
            self._start_missing()
            time.sleep(POLL)
        until = time.monotonic() + moment.delay
        while time.monotonic() < until:
            if self._ended():
                return False
            time.sleep(POLL)
        self.killed.append(self._where(moment.target))
        for name in (JOB, BRIDGE) if moment.target == BOTH else (moment.target,):
            self._kill_one(name)
        return True

    def finish(self) -> None:
        """Let the run end, and look whether all holds."""
        deadline = time.monotonic() + LIMIT
        while not self._ended():
            self._start_missing()
            if time.monotonic() > deadline:
                self.wrong.append(f"hung for {LIMIT:g} s")
                return
            time.sleep(POLL)
        code = self._processes[JOB].returncode
        if code:
            self.wrong.append(f"the job ended with {code}, see {self.side}")
            return
        self._kill_one(BRIDGE)
        self.facts, faults = check_ended(self.folder, self.reference, self.side / "asked")
        self.wrong += faults

    def _ready(self, moment: Moment) -> bool:
        """Whether the moment's seconds begin: there is whom to kill, and what to lose."""
        if moment.target != JOB and BRIDGE not in self._processes:
            return False
        if not moment.in_flight:
            return True
        started = moment.target == BRIDGE or self._attempts() > self._attempts_before
        return started and orders_in_flight(self.folder) > 0

    def _attempts(self) -> int:
        return len(list((self.folder / "attempts").glob("[0-9]*.json")))

    def _ended(self) -> bool:
        job = self._processes.get(JOB)
        return job is not None and job.poll() is not None

    def _kill_one(self, name: str) -> None:
        """SIGKILL; a program that the bridge has called may live on, as it would elsewhere."""
        process = self._processes.pop(name, None)
        if process is None:
            return
        if name == JOB:
            kill_all(f"{self._tag}-{JOB}")  # its graders too
        else:
            process.send_signal(signal.SIGKILL)
        process.wait()

    def _start_missing(self) -> None:
        """Start the job, and the bridge as soon as there is a run to serve."""
        if JOB not in self._processes:
            program = [sys.executable, *map(str, self._program())]
            command = f"labels.command='{shlex.join(program)}'"
            arguments = [*OVERRIDES, *LIVE, command, f"run_dir={self.folder}"]
            self._attempts_before = self._attempts()
            self._start(JOB, "rlavr_hpc.run", *arguments)
        bridge = self._processes.get(BRIDGE)
        if bridge is not None and bridge.poll() is not None:
            self._processes.pop(BRIDGE)
            self.wrong.append(f"a bridge ended with {bridge.returncode}, see {self.side}")
        if BRIDGE not in self._processes and (self.folder / "attempts/1.json").exists():
            served = ("labels", "serve", str(self.folder), "--poll", str(BRIDGE_POLL))
            self._start(BRIDGE, "rlavr_hpc", *served)

    def _program(self) -> tuple[Path, ...]:
        return tuple(self.side / name for name in ("answer.py", "answers.json", "asked"))

    def _start(self, name: str, module: str, *arguments: str) -> None:
        with (self.side / f"{name}.log").open("ab") as words:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                cwd=REPOSITORY,
                env={**os.environ, TAG: f"{self._tag}-{name}"},
                stdout=words,
                stderr=words,
                start_new_session=True,
            )

    def _where(self, target: str) -> KilledAt:
        try:
            status = json.loads((self.folder / STATUS_FILE).read_text())
        except (OSError, ValueError):
            status = {}
        return KilledAt(
            target=target,
            place=str(status.get("state", "before its heartbeat")),
            step=int(status.get("step", 0)),
            in_flight=orders_in_flight(self.folder),
        )


def reference_run(folder: Path) -> Path:
    """The undisturbed run with the data set's labels."""
    command = [sys.executable, "-m", "rlavr_hpc.run", *OVERRIDES, f"run_dir={folder}"]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"the undisturbed run failed: {ended.stderr}")
    return folder
