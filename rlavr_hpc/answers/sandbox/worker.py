"""A grader's process: reads requests from its standard input, answers on its standard output.

It reads hostile text, so it runs under limits that the kernel holds: the CPU time of each request
(a signal nobody handles ends the process), its memory, and no writing to files. It speaks JSON
lines and unpickles nothing. It ends with its parent.

Started by `grader` as `python -m rlavr_hpc.answers.sandbox.worker CPU_SECONDS MEMORY_MIB PARENT`,
which grades mathematics, or with `TARGET SETTINGS` behind it, which grades a task by its own class.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import IO

from rlavr_hpc.answers.sandbox.protocol import GAVE_UP, READ, READY, SAME

Serve = Callable[[Sequence[str]], object]
"""From a request to its reply."""

PR_SET_PDEATHSIG = 1
MIB = 1 << 20
GROWN = 0.25
"""Share of the memory limit at which a grader is replaced after its request."""
FULL = 0.9
"""Share at which the request itself counts as past the limit."""
MAX_FILES = 64


def main(cpu_seconds: float, memory_mib: int, parent: int, own: Sequence[str]) -> None:
    """Serve requests until the input ends.

    Args:
        cpu_seconds: limit of one request.
        memory_mib: limit beyond what is used when it is ready.
        parent: process id of the one who started it.
        own: target and settings (JSON) of a task's own class; empty = mathematics.
    """
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)  # meant for the run, which ends its graders itself
    die_with(parent)
    replies, requests = _take_standard_output(), _take_standard_input()
    serve = _task_reader(*own) if own else _math_reader()
    start = _peak()
    confine(memory_mib)
    _say(replies, READY)
    for line in requests:
        for request in json.loads(line):
            began = time.process_time()
            signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
            reply = serve(request)
            signal.setitimer(signal.ITIMER_PROF, 0)
            grown = (_peak() - start) / (memory_mib * MIB)
            spent = time.process_time() - began
            _say(replies, [GAVE_UP if grown > FULL else reply, spent])
            if grown > GROWN:
                return


def _math_reader() -> Serve:
    """`[read, mode, text]`, `[same, mode, one, other]` or `[matches, ...]`, by math-verify."""
    from rlavr_hpc.answers.sandbox import math_verify_reader as reader  # noqa: PLC0415 - slow

    def serve(request: Sequence[str]) -> object:
        kind, *texts = request
        try:
            if kind == READ:
                found = reader.read(*texts)
                return found and [found.form, found.computable, found.value, found.shown]
            return reader.same(*texts) if kind == SAME else reader.matches(*texts)
        except MemoryError:
            return GAVE_UP
        except Exception:  # noqa: BLE001 - whatever the libraries make of hostile text
            return None if kind == READ else False

    reader.warm_up()
    return serve


def _task_reader(target: str, settings: str) -> Serve:
    """The same by a task's own class."""
    from rlavr_hpc.answers.sandbox.task_reader import load_reader  # noqa: PLC0415 - not for math

    return load_reader(target, settings)


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before we could ask
        os._exit(0)


def confine(memory_mib: int) -> None:
    """Limit memory beyond what is used now, and forbid writing files and core dumps."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123
        used = int(statm.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    limit = used + memory_mib * MIB
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_FILES, MAX_FILES))


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _take_standard_output() -> IO[str]:
    """The pipe to the parent, kept from libraries that print."""
    replies = os.fdopen(os.dup(1), "w", encoding="ascii")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.close(silence)
    return replies


def _take_standard_input() -> IO[str]:
    """The pipe from the parent, kept from code that reads its standard input."""
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return requests


def _say(replies: IO[str], reply: object) -> None:
    replies.write(json.dumps(reply) + "\n")
    replies.flush()


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
