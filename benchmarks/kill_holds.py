"""Ways to hold a run at an exact place, until it is killed there."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rlavr_hpc.io import LineWriter
from rlavr_hpc.telemetry.clock import StepClock

STEP = re.compile(r"step_([0-9]+)")
DELETED = re.compile(r"\.step_[0-9]+\.del")
LAST_PHASE = "learn"
BETWEEN = "between phases"
POLL = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Where a process is to be killed."""

    phase: str
    """A key of `benchmarks.kill_tables.PHASES`."""
    run_dir: str
    marker: str
    """File that says that the point was reached, and where the process was then."""
    skip: int = 0
    """Pass over this many occurrences."""
    delay: float = 0.0
    """Seconds to go on after the point."""
    cut: float = 0.5
    """Share of a batch of lines that is written, or of a folder's files that are deleted."""
    rank: int = 0
    """On which rank."""
    alone: bool = False
    """Only this rank is killed; torchrun is to bring the others down."""
    steps: int
    eval_every: int

    def to_json(self) -> str:
        """As the command line takes it."""
        return json.dumps(asdict(self))


class Holder:
    """Knows where the process is, and stops it at the point."""

    def __init__(self, point: Point) -> None:
        """Holds `point` ready."""
        self.point = point
        self.step_key = "start-up"
        self.run_dir = Path(point.run_dir)
        self.attempts = self.count_attempts()
        self.step = 0
        self._left = point.skip

    def count_attempts(self) -> int:
        """Attempts' tokens in the run folder."""
        return len(list((self.run_dir / "attempts").glob("[0-9]*.json")))

    def begin_step(self) -> None:
        """Count a step, from the one that the attempt continues."""
        if not self.step:
            token = self.run_dir / "attempts" / f"{self.count_attempts()}.json"
            self.step = int(json.loads(token.read_text())["resumed_from"])
        self.step += 1

    def reached(self, phase: str) -> bool:
        """Whether this occurrence of `phase` is the point."""
        if phase != self.point.phase:
            return False
        self._left -= 1
        return self._left == -1

    def pass_by(self, phase: str) -> None:
        """An occurrence of `phase`; stops here, or a little later, when it is the point."""
        if not self.reached(phase):
            return
        if not self.point.delay:
            self.stop()
        timer = threading.Timer(self.point.delay, self.stop)
        timer.daemon = True
        timer.start()

    def stop(self) -> None:
        """Write the marker and stop, or die alone."""
        step_key = self.step_key
        if step_key == "start-up" and self.count_attempts() > self.attempts:
            step_key = "token"
        marker = Path(f"{self.point.marker}.new")
        marker.write_text(json.dumps({"place": step_key, "step": self.step}))
        os.replace(marker, self.point.marker)  # noqa: PTH105  Path.replace is wrapped
        os.kill(os.getpid(), signal.SIGKILL if self.point.alone else signal.SIGSTOP)
        while True:  # nobody wakes a stopped process but to kill it
            time.sleep(1)


def hold_in_phases(holder: Holder) -> None:
    """Wrap `StepClock`: the phases of a step, and the evaluation after them."""
    begin, original = StepClock.__init__, StepClock.phase

    def counted(clock: StepClock, **given: Any) -> None:  # noqa: ANN401
        begin(clock, **given)
        holder.begin_step()
        holder.step_key = BETWEEN

    @contextmanager
    def phase(clock: StepClock, name: str) -> Iterator[None]:
        holder.step_key = name
        holder.pass_by(name)
        with original(clock, name):
            yield
        holder.step_key = BETWEEN
        due = holder.step == holder.point.steps or holder.step % holder.point.eval_every == 0
        if name == LAST_PHASE and due:
            holder.step_key = "evaluation"
            holder.pass_by("evaluation")

    StepClock.__init__ = counted  # type: ignore[method-assign, assignment]
    StepClock.phase = phase  # type: ignore[assignment]


def hold_in_writes(holder: Holder) -> None:
    """Wrap `LineWriter`: lines that are torn, and the moment after a decision to buy."""
    original = LineWriter._write_all

    def write(writer: LineWriter, data: bytes) -> None:
        kind = writer.path.parent.name
        if kind not in ("ledger", "metrics"):
            return original(writer, data)
        before = holder.step_key
        holder.step_key = kind
        if holder.reached(kind):
            original(writer, data[: 1 + int(holder.point.cut * (len(data) - 2))])
            holder.stop()
        original(writer, data)
        holder.step_key = before if kind == "ledger" else "after the record"
        if kind == "ledger" and b'"kind":"intent"' in data:
            holder.step_key = "purchase"
            holder.pass_by("purchase")
        return None

    LineWriter._write_all = write  # type: ignore[method-assign, assignment]


def hold_in_publishing(holder: Holder) -> None:
    """Wrap the renames that make a checkpoint or a final record visible."""
    rename, replace = Path.rename, Path.replace

    def renamed(path: Path, target: Any) -> Path:  # noqa: ANN401
        number = STEP.fullmatch(Path(target).name)
        if path.parent.name != "checkpoints" or number is None:
            return rename(path, target)
        at(holder, "rename-before")
        result = rename(path, target)
        at(holder, "rename-after")
        if int(number[1]) == holder.point.steps:
            at(holder, "end")
        return result

    def replaced(path: Path, target: Any) -> Path:  # noqa: ANN401
        name = Path(target).name
        if name in ("summary.json", "DONE.json"):
            at(holder, "end")
        result = replace(path, target)
        if name == "DONE.json":
            at(holder, "end")
        return result

    Path.rename = renamed  # type: ignore[method-assign, assignment]
    Path.replace = replaced  # type: ignore[method-assign, assignment]


def at(holder: Holder, phase: str) -> None:
    """Pass by `phase`, which is no more than a moment."""
    before, holder.step_key = holder.step_key, phase
    holder.pass_by(phase)
    holder.step_key = before


def hold_in_deletion(holder: Holder) -> None:
    """Wrap `shutil.rmtree`: a checkpoint of which some files are gone."""
    original: Callable[..., None] = shutil.rmtree

    def rmtree(path: Any, *arguments: Any, **named: Any) -> None:  # noqa: ANN401
        folder = Path(path)
        old = folder.parent.name == "checkpoints" and DELETED.fullmatch(folder.name)
        if old and holder.reached("deletion"):
            holder.step_key = "deletion"
            files = [p for p in sorted(folder.rglob("*"), reverse=True) if p.is_file()]
            for file in files[: int(holder.point.cut * len(files))]:
                file.unlink()
            holder.stop()
        original(path, *arguments, **named)

    shutil.rmtree = rmtree  # type: ignore[assignment]
