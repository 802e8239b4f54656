"""Grader processes that may be killed: hostile text can neither hang nor take over the caller.

A request past its CPU time or memory ends its process, counts as given up (None), and a new
process takes over. Wall time is only a backstop of ten times the CPU limit, so that a loaded
machine changes no verdict. A process that dies for another reason blames nobody: its request is
tried again.
"""

from __future__ import annotations

import json
import logging
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

from rlavr_hpc.errors import RlavrError

log = logging.getLogger(__name__)

Request = tuple[str, ...]
"""`("read", mode, text)`, `("same", mode, one, other)` or `("matches", mode, known, answer)`."""
PACKAGE_ROOT = Path(__file__).resolve().parents[2]
WALL_FACTOR = 10
START_SECONDS = 120
MAX_CHUNK = 16
"""Requests a process is given at once, which bounds what lies in its pipes."""
MAX_REPLY_BYTES = 1 << 16
MAX_TRIES = 5
"""A request whose process dies this often, for whatever reason, is given up."""
MAX_STARTS = 10
"""Graders in a row that ended before they were ready, until that is an error."""
READY = "ready"
GAVE_UP = "gave up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one request may use."""

    cpu_seconds: float = 2.0
    memory_mib: int = 1024
    """Beyond what an idle grader holds."""


@dataclass(slots=True, kw_only=True, eq=False)
class _Worker:
    slot: int
    """0..workers-1; a replacement takes its predecessor's."""
    process: subprocess.Popen[bytes]
    errors: IO[bytes]
    ready: bool = False
    given: deque[int] = field(default_factory=deque)
    """Indices of the requests it has not answered yet."""
    heard: float = field(default_factory=time.monotonic)
    """When it last said something or was given work."""
    buffer: bytearray = field(default_factory=bytearray)


class _Job:
    """Requests on their way: each slot has a stretch of them, and helps the others when done.

    Neighbouring requests are about the same texts, and a grader remembers what it has read.
    """

    def __init__(self, requests: Sequence[Request], *, workers: int) -> None:
        count = len(requests)
        self.replies: list[Any] = [None] * count
        self.tries = [0] * count
        bounds = [count * slot // workers for slot in range(workers + 1)]
        self._queues = [deque(range(a, b)) for a, b in pairwise(bounds)]
        self._chunk = max(1, min(MAX_CHUNK, count // (4 * workers)))

    @property
    def waiting(self) -> bool:
        return any(self._queues)

    def take(self, slot: int) -> list[int]:
        """The next requests for a slot."""
        queue = self._queues[slot]
        if queue:
            return [queue.popleft() for _ in range(min(self._chunk, len(queue)))]
        longest = max(self._queues, key=len)
        return [longest.pop() for _ in range(min(self._chunk, (len(longest) + 1) // 2))][::-1]

    def put_back(self, slot: int, indices: Iterable[int]) -> None:
        """Requests that a slot's grader did not come to."""
        self._queues[slot].extendleft(reversed(list(indices)))


class GraderPool:
    """A bounded set of grader processes; not for use by several threads."""

    def __init__(self, limits: Limits, *, workers: int) -> None:
        """Start the processes; they get ready while the caller goes on."""
        self.limits = limits
        self.given_up = 0
        """Requests past their limit so far."""
        self._size = workers
        self._workers: list[_Worker] = []
        self._failed_starts = 0
        self._fill()

    @property
    def pids(self) -> list[int]:
        """The graders' process ids."""
        return [worker.process.pid for worker in self._workers]

    def run(self, requests: Sequence[Request]) -> list[Any]:
        """Answer every request, in order; None for one past its limits or without an answer.

        A given-up request is told from one without an answer by `GAVE_UP` in its place.

        Raises:
            RlavrError: graders do not start at all.
        """
        job = _Job(requests, workers=self._size)
        while job.waiting or any(worker.given for worker in self._workers):
            for worker in self._workers:
                if worker.ready and not worker.given and job.waiting:
                    self._give(worker, job.take(worker.slot), requests)
            self._look_after(job)
        self.given_up += sum(reply == GAVE_UP for reply in job.replies)
        return job.replies

    def wait_until_ready(self) -> None:
        """Return when every grader has started.

        Raises:
            RlavrError: graders do not start.
        """
        while not all(worker.ready for worker in self._workers):
            self._look_after(_Job((), workers=self._size))

    def close(self) -> None:
        """End the processes."""
        for worker in self._workers:
            self._end(worker)
        self._workers.clear()

    def _look_after(self, job: _Job) -> None:
        """Take what the graders say, and replace those that died or are overdue."""
        for worker, lines in self._listen():
            for line in lines:
                job.replies[worker.given.popleft()] = line
            if worker.process.poll() is not None or self._overdue(worker):
                self._bury(worker, job)
        self._fill()

    def _fill(self) -> None:
        taken = {worker.slot for worker in self._workers}
        for slot in range(self._size):
            if slot not in taken:
                self._workers.append(self._start(slot))

    def _start(self, slot: int) -> _Worker:
        errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        limits = (str(self.limits.cpu_seconds), str(self.limits.memory_mib), str(os.getpid()))
        process = subprocess.Popen(
            [sys.executable, "-m", "rlavr_hpc.answers.grader_worker", *limits],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, cwd="/",
            env={"PYTHONPATH": str(PACKAGE_ROOT), "PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        return _Worker(slot=slot, process=process, errors=errors)

    def _give(self, worker: _Worker, chunk: list[int], requests: Sequence[Request]) -> None:
        assert worker.process.stdin is not None
        worker.given.extend(chunk)
        worker.heard = time.monotonic()
        try:
            worker.process.stdin.write(json.dumps([requests[i] for i in chunk]).encode() + b"\n")
            worker.process.stdin.flush()
        except BrokenPipeError:
            worker.process.wait()

    def _listen(self) -> Iterator[tuple[_Worker, list[Any]]]:
        """Wait until something happens; what each worker has said."""
        with selectors.DefaultSelector() as selector:
            for worker in self._workers:
                assert worker.process.stdout is not None
                selector.register(worker.process.stdout, selectors.EVENT_READ, worker)
            heard = {key.data for key, _ in selector.select(timeout=0.5)}
        for worker in list(self._workers):
            yield worker, list(self._said(worker)) if worker in heard else []

    def _said(self, worker: _Worker) -> Iterator[Any]:
        assert worker.process.stdout is not None
        data = os.read(worker.process.stdout.fileno(), MAX_REPLY_BYTES)
        if not data:
            worker.process.wait()
            return
        worker.heard = time.monotonic()
        worker.buffer += data
        *lines, rest = worker.buffer.split(b"\n")
        worker.buffer = rest
        for line in lines:
            reply = json.loads(line)
            if worker.ready:
                yield reply
            else:
                worker.ready, self._failed_starts = reply == READY, 0

    def _overdue(self, worker: _Worker) -> bool:
        waits = worker.given or not worker.ready
        limit = self.limits.cpu_seconds * WALL_FACTOR if worker.ready else START_SECONDS
        too_long = len(worker.buffer) > MAX_REPLY_BYTES
        return bool(waits and time.monotonic() - worker.heard > limit) or too_long

    def _bury(self, worker: _Worker, job: _Job) -> None:
        """Take a worker away; decide what becomes of the request it was at."""
        ended = worker.process.poll()
        self._workers.remove(worker)
        if not worker.ready:
            self._complain(worker)
        if worker.given:
            index = worker.given[0]
            job.tries[index] += 1
            # it ran out of CPU time, or hung without using any, or kills whoever reads it
            if ended is None or ended == -signal.SIGPROF or job.tries[index] >= MAX_TRIES:
                job.replies[index] = GAVE_UP
                worker.given.popleft()
        job.put_back(worker.slot, worker.given)
        self._end(worker)

    def _complain(self, worker: _Worker) -> None:
        self._failed_starts += 1
        if self._failed_starts < MAX_STARTS:
            return
        worker.errors.seek(0)
        words = worker.errors.read(MAX_REPLY_BYTES).decode(errors="replace").strip()
        last = words.splitlines()[-1] if words else "they say nothing"
        raise RlavrError(f"grader processes do not start: {last}")

    def _end(self, worker: _Worker) -> None:
        worker.process.kill()
        worker.process.wait()
        for pipe in (worker.process.stdin, worker.process.stdout, worker.errors):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    log.debug("a grader died with a request in its pipe")
