"""`profile=true`: a trace and a table of the time that a few steps take, on rank 0.

It changes no result. If it fails, the run continues without a profile.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.distributed as dist
from torch.profiler import ProfilerActivity, profile, record_function

from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.io import make_folder, sync_file, sync_folder, write_atomic, write_record
from rlavr_hpc.trainer.reporting.profile_table import MARK, Event, as_text, as_values, tabulate

log = logging.getLogger(__name__)

VERSION = 1
SKIPPED, PROFILED = 2, 3
"""Steps of an attempt that are skipped, as a warm-up, and that are profiled."""
ON_CPU = torch.autograd.DeviceType.CPU  # type: ignore[attr-defined]


def phase_mark(phase: str) -> AbstractContextManager[object]:
    """A range in the trace of any active profiler, named after the step's phase."""
    return record_function(f"{MARK}/{phase}")


def profile_of(
    config: RunConfig, run_dir: Path, *, attempt: int
) -> Callable[[int], AbstractContextManager[object]]:
    """A context to enter around every step with its number; empty unless `profile=true`."""
    if not (config.profile and dist.get_rank() == 0):
        return nullcontext
    return StepProfile(folder=run_dir / "profile" / str(attempt), last=config.steps).around


@dataclass(slots=True, kw_only=True)
class StepProfile:
    """Profiles steps 3 to 5 of an attempt; a shorter attempt writes nothing."""

    folder: Path
    last: int
    """The run's last step."""
    _seen: int = 0
    _steps: list[int] = field(default_factory=list)
    _profiler: profile | None = None

    @contextmanager
    def around(self, step: int) -> Iterator[None]:
        """One step."""
        self._seen += 1
        if self._seen == SKIPPED + 1:
            self._guarded(self._start)
        try:
            with record_function(MARK):
                yield
        except BaseException:
            _end_open()
            self._profiler = None
            raise
        if self._profiler is None:
            return
        self._steps.append(step)
        if len(self._steps) == PROFILED or step == self.last:
            self._guarded(self._finish)
            self._profiler = None

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001  a failed profile must not end the run
            log.warning("profile=true: this attempt has no profile: %s", error)
            self._profiler = None

    def _start(self) -> None:
        kinds = [ProfilerActivity.CPU]
        if torch.cuda.is_available():
            kinds.append(ProfilerActivity.CUDA)
        _end_open()  # left open by an attempt that was rolled back
        profiler = profile(activities=kinds, acc_events=True)
        profiler.start()
        _open.append(profiler)
        self._profiler = profiler

    def _finish(self) -> None:
        assert self._profiler is not None
        _end_open()
        make_folder(self.folder)
        self._write_trace(self._profiler)
        rows = tabulate(_events(self._profiler))
        head = f"steps {self._steps[0]} to {self._steps[-1]}, per step, with the profiler's cost\n"
        write_record(
            self.folder / "table.json", VERSION, {"steps": self._steps, "phases": as_values(rows)}
        )
        write_atomic(self.folder / "table.txt", head + as_text(rows))
        log.info("profile: %s", self.folder / "table.txt")

    def _write_trace(self, profiler: profile) -> None:
        part, whole = self.folder / ".trace.json.gz", self.folder / "trace.json.gz"
        try:
            profiler.export_chrome_trace(str(part))  # compresses by the name's ending
            sync_file(part)
            part.replace(whole)
        finally:
            part.unlink(missing_ok=True)
        sync_folder(self.folder)


_open: list[profile] = []
"""The active profiler: a process has at most one."""


def _end_open() -> None:
    while _open:
        _open.pop().stop()


def _events(profiler: profile) -> Iterator[Event]:
    for event in profiler.events() or ():
        on_device = event.device_type != ON_CPU
        length: float = event.time_range.elapsed_us()
        yield Event(
            name=event.name,
            start=event.time_range.start,
            length=length,
            own=length if on_device else event.self_cpu_time_total,
            on_device=on_device,
        )
