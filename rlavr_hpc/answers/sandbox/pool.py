"""Graders that may be killed: hostile text can neither hang nor take over the caller.

A request past its CPU time or memory ends its grader, counts as given up, and a new grader takes
over. A grader that dies for another reason blames nobody: its request is tried again.
"""

from __future__ import annotations

import selectors
import time
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import pairwise

from rlavr_hpc.answers.sandbox.process import Grader, Limits, Outcome, Request
from rlavr_hpc.answers.sandbox.protocol import GAVE_UP
from rlavr_hpc.errors import RlavrError, UserError

MAX_CHUNK = 16
"""Requests a grader is given at once."""
MAX_CHUNK_CHARS = 8000
"""Their length together, unless a single one is longer; escaped they fit into any pipe."""
MAX_TRIES = 5
"""A request whose grader dies this often, for whatever reason, is given up."""
MAX_STARTS = 10
"""Graders in a row that ended before they were ready, until that is an error."""
LISTEN_SECONDS = 0.5


class _Job:
    """Requests on their way: each slot has a stretch of them, and helps the others when done.

    Neighbouring requests are about the same texts, and a grader remembers what it has read.
    """

    def __init__(self, requests: Sequence[Request], *, workers: int) -> None:
        count = len(requests)
        self.outcomes: list[Outcome] = [(None, 0.0)] * count
        self.tries = [0] * count
        bounds = [count * slot // workers for slot in range(workers + 1)]
        self._requests = requests
        self._queues = [deque(range(a, b)) for a, b in pairwise(bounds)]
        self._chunk = max(1, min(MAX_CHUNK, count // (4 * workers)))

    @property
    def waiting(self) -> bool:
        return any(self._queues)

    def take(self, slot: int) -> list[int]:
        """The next requests for a slot."""
        queue = self._queues[slot]
        most = self._chunk
        if not queue:
            queue = max(self._queues, key=len)
            most = min(most, (len(queue) + 1) // 2)
        taken, chars = list[int](), 0
        while queue and len(taken) < most and (not taken or chars < MAX_CHUNK_CHARS):
            taken.append(queue.popleft())
            chars += sum(map(len, self._requests[taken[-1]]))
        return taken

    def put_back(self, slot: int, indices: Iterable[int]) -> None:
        """Requests that a slot's grader did not come to."""
        self._queues[slot].extendleft(reversed(list(indices)))


class GraderPool:
    """A bounded set of graders; not for use by several threads."""

    def __init__(self, limits: Limits, *, workers: int, own: Sequence[str] = ()) -> None:
        """Start the graders; they get ready while the caller goes on.

        Args:
            limits: of each request.
            workers: how many graders.
            own: target and settings of a task's own class, see `worker`; empty = mathematics.

        Raises:
            UserError: there shall be none.
        """
        if workers < 1:
            raise UserError(f"{workers} graders cannot grade; one is the least")
        self.timed_out = 0
        """Requests past their limit so far."""
        self.limits = limits
        self._size, self._own = workers, tuple(own)
        self._graders: list[Grader] = []
        self._failed_starts = 0
        self._fill()

    @property
    def pids(self) -> list[int]:
        """The graders' process ids."""
        return [grader.pid for grader in self._graders]

    def run(self, requests: Sequence[Request]) -> list[Outcome]:
        """Answer every request, in order; `GAVE_UP` for one past its limits.

        Raises:
            RlavrError: graders do not start at all.
        """
        self._fill()
        job = _Job(requests, workers=self._size)
        while job.waiting or any(grader.given for grader in self._graders):
            for grader in self._graders:
                if grader.ready and not grader.given and job.waiting:
                    grader.give(job.take(grader.slot), requests)
            self._look_after(job)
        self.timed_out += sum(reply == GAVE_UP for reply, _ in job.outcomes)
        return job.outcomes

    def wait_until_ready(self) -> None:
        """Return when every grader has started.

        Raises:
            RlavrError: graders do not start.
        """
        while not all(grader.ready for grader in self._graders):
            self._look_after(_Job((), workers=self._size))

    def close(self) -> None:
        """End the graders."""
        for grader in self._graders:
            grader.end()
        self._graders.clear()

    def _fill(self) -> None:
        taken = {grader.slot for grader in self._graders}
        free = [slot for slot in range(self._size) if slot not in taken]
        self._graders += [Grader(slot, self.limits, own=self._own) for slot in free]

    def _look_after(self, job: _Job) -> None:
        """Take what the graders say, and replace those that died or hang."""
        with selectors.DefaultSelector() as selector:
            for grader in self._graders:
                selector.register(grader, selectors.EVENT_READ)
            start = time.monotonic()
            selector.select(timeout=LISTEN_SECONDS)
            # a caller that was stopped for a while did not listen all that time
            listened = min(time.monotonic() - start, LISTEN_SECONDS)
        for grader in list(self._graders):
            grader.waited(listened)
            over = grader.ended is not None
            for outcome in grader.hear():
                job.outcomes[grader.given.popleft()] = outcome
            if grader.ready:
                self._failed_starts = 0
            if over or grader.ended is not None or grader.hangs:
                self._replace(grader, job)

    def _replace(self, grader: Grader, job: _Job) -> None:
        """Take a grader away; decide what becomes of the request it was at."""
        for outcome in grader.hear():
            job.outcomes[grader.given.popleft()] = outcome
        if not grader.ready:
            self._count_failed_start(grader)
        if grader.given:
            index = grader.given[0]
            job.tries[index] += 1
            # it used up its CPU time, or hung without using any, or kills whoever reads it
            if grader.ran_out or grader.hangs or job.tries[index] >= MAX_TRIES:
                job.outcomes[index] = GAVE_UP, self.limits.cpu_seconds
                grader.given.popleft()
        job.put_back(grader.slot, grader.given)
        self._graders.remove(grader)
        grader.end()
        self._fill()

    def _count_failed_start(self, grader: Grader) -> None:
        self._failed_starts += 1
        if self._failed_starts >= MAX_STARTS:
            raise RlavrError(f"grader processes do not start: {grader.last_words()}")
