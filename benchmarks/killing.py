"""Runs that are killed, and continued by the same command until they end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.kill_holds import Point
from benchmarks.kill_tables import EVAL_EVERY, STEPS, Kind
from benchmarks.killed_processes import (
    POLL,
    TAG,
    kill_all,
    leave_to_torchrun,
    left_behind,
)
from benchmarks.sameness import first_difference

REPOSITORY = Path(__file__).resolve().parents[1]
LIMIT = 400.0
"""Seconds after which a start counts as hanging."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One start of a run, and how it ended."""

    begun: float
    """Wall-clock time."""
    step_key: str | None
    """Where it was killed; None = it ended by itself."""
    step: int
    code: int
    attempt: int
    """The newest when it had ended."""
    compiled: bool
    """Whether it had to compile the op."""
    alone: bool = False
    """Whether only one of its ranks was killed."""
    trouble: str | None = None


@dataclass(slots=True, kw_only=True)
class Trial:
    """A run, killed and continued."""

    kind: Kind
    folder: Path
    seed: int = 1
    starts: list[Start] = field(default_factory=list)
    unhit: list[str] = field(default_factory=list)
    """Phases that were not reached before the run ended."""
    difference: str | None = None
    _ops: str | None = None
    """Where the op is compiled instead; the start after a killed compilation needs it too."""

    @property
    def finished(self) -> bool:
        """Whether the run has ended well."""
        return (self.folder / "DONE.json").exists()

    @property
    def kills(self) -> list[Start]:
        """The starts that were killed."""
        return [start for start in self.starts if start.step_key is not None]

    def newest_step(self) -> int:
        """Of the newest checkpoint."""
        names = [path.name for path in (self.folder / "checkpoints").glob("step_*")]
        return max((int(name.removeprefix("step_")) for name in names), default=0)

    def point(self, phase: str, **values: Any) -> Point:  # noqa: ANN401
        """A point of this run to be killed at; `values` are fields of `Point`."""
        return Point(
            phase=phase,
            run_dir=str(self.folder),
            marker=f"{self.folder}.marker",
            steps=STEPS,
            eval_every=EVAL_EVERY,
            **values,
        )

    def kill(self, point: Point) -> bool:
        """Start, and kill at the point; False when the run ended before."""
        compiling = point.phase == "compile"
        if compiling:
            self._ops = tempfile.mkdtemp(prefix="ops-", dir=self.folder.parent)
        start = self._start(point)
        if not compiling:
            self._ops = None
        if start.step_key is None:
            self.unhit.append(point.phase)
        return start.step_key is not None

    def finish(self) -> None:
        """Start without a kill, until the end; a run killed after its end says that it is done."""
        if not self.finished or self.starts[-1].step_key is not None:
            self._start(None)
            self._ops = None

    def compare(self, reference: Path) -> str | None:
        """The first difference to an uninterrupted run; also kept in `difference`."""
        trouble = next((start.trouble for start in self.starts if start.trouble), None)
        self.difference = trouble or first_difference(self.folder, reference, step=STEPS)
        return self.difference

    def _start(self, point: Point | None) -> Start:
        marker = Path(f"{self.folder}.marker")
        marker.unlink(missing_ok=True)
        begun, tag = time.time(), uuid.uuid4().hex
        environment = {**os.environ, TAG: tag}
        if self._ops is not None:
            environment["TORCH_EXTENSIONS_DIR"] = self._ops
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        log = Path(f"{self.folder}.log")
        with log.open("ab") as words:
            process = subprocess.Popen(
                self._command(point),
                cwd=REPOSITORY,
                env=environment,
                stdout=words,
                stderr=words,
                start_new_session=True,
            )
        trouble = _watch(process, tag, marker, alone=point is not None and point.alone)
        told: dict[str, Any] = {"place": None, "step": 0}
        if marker.exists():
            told = json.loads(marker.read_text())
        if trouble is None and told["place"] is None and process.returncode != 0:
            last = log.read_text(errors="replace").strip().splitlines()[-1:]
            trouble = f"start {len(self.starts) + 1} ended with {process.returncode}: {last}"
        start = Start(
            begun=begun,
            step_key=told["place"],
            step=told["step"],
            code=process.returncode,
            attempt=len(list((self.folder / "attempts").glob("[0-9]*.json"))),
            compiled=self._ops is not None,
            alone=point is not None and point.alone,
            trouble=trouble,
        )
        self.starts.append(start)
        return start

    def _command(self, point: Point | None) -> list[str]:
        command = [sys.executable, "-m"]
        if self.kind.ranks > 1:
            command += ["torch.distributed.run", "--standalone"]
            command += ["--nproc-per-node", str(self.kind.ranks), "-m"]
        if point is None:
            command += ["rlavr_hpc.run"]
        else:
            command += ["benchmarks.kill_point", point.to_json()]
        return [*command, *self.kind.overrides, f"seed={self.seed}", f"run_dir={self.folder}"]


def _watch(process: subprocess.Popen[bytes], tag: str, marker: Path, *, alone: bool) -> str | None:
    """Wait until a start has ended, killing it when it says that it is at its point.

    Returns:
        What went wrong, or None.
    """
    deadline = time.monotonic() + LIMIT
    trouble = None
    while process.poll() is None:
        if marker.exists():
            trouble = leave_to_torchrun(process) if alone else None
            break
        if time.monotonic() > deadline:
            trouble = f"hung for {LIMIT:g} s"
            break
        time.sleep(POLL)
    if trouble is None and alone:
        trouble = left_behind(tag)
    kill_all(tag)
    process.wait()
    return trouble


def reference_of(kind: Kind, folder: Path, seed: int = 1) -> Trial:
    """The uninterrupted run that others of its kind and seed are compared with."""
    trial = Trial(kind=kind, folder=folder, seed=seed)
    trial.finish()
    if not trial.finished:
        raise RuntimeError(f"the uninterrupted run failed, see {folder}.log")
    return trial


def steps_redone(trial: Trial) -> int:
    """Steps on record that were done again, counted each time."""
    done = [row["step"] for rows in _recorded(trial).values() for row in rows if row["step"]]
    return len(done) - len(set(done))


def seconds_to_first_step(trial: Trial) -> list[float]:
    """From the start of a process to the end of its first step; without those that compiled."""
    recorded, known, seconds = _recorded(trial), 0, []
    for start in trial.starts:
        rows = [row for row in recorded.get(start.attempt, []) if row["step"]]
        if start.attempt > known and rows and not start.compiled:
            seconds.append(rows[0]["time"] - start.begun)
        known = start.attempt
    return seconds


def _recorded(trial: Trial) -> dict[int, list[dict[str, Any]]]:
    """The whole lines of every attempt's metrics."""
    return {
        int(path.stem): [json.loads(line) for line in path.read_text().split("\n")[:-1]]
        for path in (trial.folder / "metrics").glob("*.jsonl")
    }
