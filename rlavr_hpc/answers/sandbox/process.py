"""One grader process, seen from the trainer: start it, give it requests, hear it, end it.

Nothing here waits for a grader: requests fit into its pipe, and replies are read as they come.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlavr_hpc.answers.sandbox.protocol import READY

Request = tuple[str, ...]
"""See `protocol`."""
Outcome = tuple[Any, float]
"""A reply, and the CPU seconds it took."""
PACKAGE_ROOT = Path(__file__).resolve().parents[3]
PIPE_BYTES = 1 << 20
"""Asked for a grader's input; the largest request is a quarter of it."""
MAX_REPLY_BYTES = 1 << 16
"""A longer line is none of ours."""
WALL_FACTOR = 10
"""Wall time is a backstop only, so that a loaded machine changes no verdict."""
START_SECONDS = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one request may use."""

    cpu_seconds: float = 2.0
    memory_mib: int = 1024
    """Beyond what an idle grader holds."""


class Grader:
    """A process that reads hostile text; see `grader_worker`."""

    def __init__(self, slot: int, limits: Limits, *, own: Sequence[str] = ()) -> None:
        """Start it; it gets ready while the caller goes on.

        Args:
            slot: its place in the pool; a replacement takes its predecessor's.
            limits: of each request.
            own: target and settings of a task's own class, see `worker`; empty = mathematics.
        """
        self.slot, self.limits = slot, limits
        self.ready = False
        self.given: deque[int] = deque()
        """Indices of the requests it has not answered yet, in order."""
        self._waited = 0.0
        self._buffer = b""
        self._broken = False
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        numbers = (str(limits.cpu_seconds), str(limits.memory_mib), str(os.getpid()))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rlavr_hpc.answers.sandbox.worker", *numbers, *own],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd="/",
            env=_environment(),
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        os.set_blocking(self._output.fileno(), False)
        with contextlib.suppress(OSError):  # a system may allow less
            fcntl.fcntl(self._input, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def fileno(self) -> int:
        """Where it speaks, for a selector."""
        return self._output.fileno()

    def give(self, indices: Sequence[int], requests: Sequence[Request]) -> None:
        """Hand over some of the requests; only when it has answered all it was given."""
        self.given.extend(indices)
        self._waited = 0.0
        line = json.dumps([requests[i] for i in indices]).encode() + b"\n"
        with contextlib.suppress(BrokenPipeError):  # it died: seen when it is heard next
            self._input.write(line)
            self._input.flush()

    def hear(self) -> list[Outcome]:
        """All it has said since, also with its last breath; never waits."""
        outcomes: list[Outcome] = []
        while (data := self._read()) and not self._broken:
            *lines, self._buffer = (self._buffer + data).split(b"\n")
            self._broken = len(self._buffer) > MAX_REPLY_BYTES
            self._waited = 0.0
            for line in lines:
                outcomes += self._understand(line)
        return outcomes

    def waited(self, seconds: float) -> None:
        """Count time in which it was silent while somebody listened."""
        self._waited += seconds

    @property
    def ended(self) -> int | None:
        """Its exit status; None while it lives."""
        return self._process.poll()

    @property
    def hangs(self) -> bool:
        """Whether it must be given up: silent for too long, or speaking nonsense."""
        if not self.ready:
            return self._broken or self._waited > START_SECONDS
        silent = self._waited > WALL_FACTOR * self.limits.cpu_seconds
        return self._broken or (bool(self.given) and silent)

    @property
    def ran_out(self) -> bool:
        """Whether it ended at the limit of CPU time."""
        return self.ended == -signal.SIGPROF

    def last_words(self) -> str:
        """The last line it wrote to its standard error."""
        self._errors.seek(0)
        words = self._errors.read(MAX_REPLY_BYTES).decode(errors="replace").strip()
        return words.splitlines()[-1] if words else "they say nothing"

    def end(self) -> None:
        """Kill it and take it away."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._input, self._output, self._errors):
            with contextlib.suppress(BrokenPipeError):  # a request was still on its way
                pipe.close()

    def _read(self) -> bytes:
        """What is there now; empty when there is nothing, or no one."""
        try:
            data = os.read(self._output.fileno(), MAX_REPLY_BYTES)
        except BlockingIOError:
            return b""
        if not data:  # it closed its end: it is dying, or up to no good
            try:
                self._process.wait(timeout=1)
            except subprocess.TimeoutExpired:
                self._broken = True
        return data

    def _understand(self, line: bytes) -> list[Outcome]:
        try:
            said = json.loads(line)
            if self.ready and self.given:
                reply, seconds = said
                return [(reply, float(seconds))]
            self.ready = said == READY
        except (ValueError, TypeError):
            self._broken = True
        return []


def _environment() -> dict[str, str]:
    """Where Python finds its modules, and nothing of what else the trainer knows."""
    paths = [str(PACKAGE_ROOT), *(path for path in sys.path if path)]
    own = {"PYTHONPATH": os.pathsep.join(paths), "PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"}
    libraries = os.environ.get("LD_LIBRARY_PATH")
    return {**own, "LD_LIBRARY_PATH": libraries} if libraries else own
