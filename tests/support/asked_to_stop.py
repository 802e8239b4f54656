"""`python -m tests.support.asked_to_stop KIND N RANK OVERRIDES...`: a run that gets TERM at work.

The signal is real and comes when the N-th piece of work of a kind (`step`, `evaluation`) begins, on
one rank only; the run begins the work once the signal has been noticed.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rlavr_hpc.cluster.preemption import Deadline
from rlavr_hpc.run import main
from rlavr_hpc.trainer.job import end_process

real = Deadline.work


def send_at(wanted: str, number: int) -> None:
    begun = 0

    @contextmanager
    def work(self: Deadline, kind: str) -> Iterator[None]:
        nonlocal begun
        begun += kind == wanted
        if kind == wanted and begun == number:
            os.kill(os.getpid(), signal.SIGTERM)
            while self.stop.received is None:
                time.sleep(0.001)
        with real(self, kind):
            yield

    Deadline.work = work  # type: ignore[method-assign]


if __name__ == "__main__":
    kind, number, rank = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    del sys.argv[1:4]
    if os.environ.get("RANK", "0") == rank:
        send_at(kind, number)
    end_process(main())
