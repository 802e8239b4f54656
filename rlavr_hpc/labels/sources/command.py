"""`labels=command`: any program that reads orders and writes answers, a JSON line each.

A call gets up to `batch` orders on its standard input and ends when it has said what it can. What
it leaves out is offered again, at first at the next look and then more and more seldom, so a
program that needs time may answer later. A call that writes lines and no answer has failed. Only
answers cost: a call that was killed is made again, with the same keys.
"""

from __future__ import annotations

import os
import resource
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO

from rlavr_hpc.io import canonical_json
from rlavr_hpc.labels.line_files import read_row
from rlavr_hpc.labels.orders import Answer, Order, read_answer
from rlavr_hpc.labels.printable import printable
from rlavr_hpc.labels.sent import ANSWERED, FAILED, LATER, CallLog
from rlavr_hpc.labels.source import Source, SourceError, SourceStoppedError

MAX_OUTPUT = 64 << 20
"""Bytes that a call may write."""
TAIL = 300
"""Characters of a failed program's last words that are quoted."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1200.0
"""Seconds before an order that was left out is offered again; each pause is twice the last. A call
costs CPU time, of which login nodes give little, and leaves files."""
FAILED_PAUSE = 60.0
"""The longest pause behind a call that failed."""
QUOTED = 80
"""Characters of a line that is no answer."""


@dataclass(kw_only=True)
class CommandSource(Source):
    """Asks a program."""

    command: str | None = None
    """The program and its arguments, split as a shell would; no shell runs it."""
    batch: int = 64
    timeout: float = 600.0
    """Seconds of one call."""
    memory_mib: int = 4096
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    _pauses: dict[str, float] = field(init=False, repr=False, default_factory=dict)
    """Key of an order that was left out, or whose call failed -> the pause behind that."""
    _not_before: dict[str, float] = field(init=False, repr=False, default_factory=dict)
    """Key -> when it may be offered again."""

    def __post_init__(self) -> None:
        """Refuse to ask nobody."""
        if not self.command or not shlex.split(self.command):
            raise ValueError("labels.command is missing: the program that answers")
        self.try_seconds = self.timeout + 30.0

    def check_here(self) -> None:
        """Refuse a program that is not on this host.

        Raises:
            SourceStoppedError: it cannot be started.
        """
        program = shlex.split(self.command or "")[0]
        if shutil.which(program) is None:
            raise SourceStoppedError(
                f"labels.command={self.command!r} cannot be started: {program} is no program that "
                "is found and may be run here"
            )

    def order(self, orders: Sequence[Order], log: CallLog) -> Iterator[Answer]:
        """Call the program for each batch, and yield its answers.

        Raises:
            SourceError: it failed, was too slow, or wrote too much.
            SourceStoppedError: there is no such program.
        """
        now = self.clock()
        due = [order for order in orders if now >= self._not_before.get(order.key, now)]
        for start in range(0, len(due), self.batch):
            claimed = log.claim(due[start : start + self.batch], at_risk=0.0)
            if claimed:
                yield from self._ask([order for order, _ in claimed], log, dict(_numbers(claimed)))

    def _ask(
        self, orders: Sequence[Order], log: CallLog, numbers: Mapping[str, int]
    ) -> Iterable[Answer]:
        try:
            answers = self._read(self._call(orders), {order.key for order in orders})
        except SourceError as error:
            for key, number in numbers.items():
                log.ended(key, number, f"{FAILED}{error}", cost=0.0)
                self._put_off(key, FAILED_PAUSE)
            raise
        for order in orders:
            answer, number = answers.get(order.key), numbers[order.key]
            if answer is None:
                log.ended(order.key, number, LATER, cost=0.0)
                self._put_off(order.key)
            else:
                cost = answer.cost_at(order.price)
                log.ended(order.key, number, ANSWERED, cost=cost)
        return answers.values()

    def _put_off(self, key: str, longest: float = LONGEST_PAUSE) -> None:
        pause = min(2 * self._pauses.get(key, FIRST_PAUSE / 2), longest)
        self._pauses[key], self._not_before[key] = pause, self.clock() + pause

    def _read(self, output: bytes, asked: Set[str]) -> dict[str, Answer]:
        """Those of its lines that answer one of these orders; the others are complained about.

        Raises:
            SourceError: there are others alone.
        """
        answers: dict[str, Answer] = {}
        others = list[str]()
        for number, raw in enumerate(output.splitlines(), start=1):
            try:
                answer = read_answer(read_row(raw))
                if answer.key not in asked:
                    raise ValueError("a key that was not asked")
                if answer.key in answers:
                    raise ValueError("a second answer to its key")
            except ValueError as error:
                quote = printable(raw[: 8 * QUOTED].decode(errors="replace"), QUOTED)
                others.append(f"line {number}: {error}: '{quote}'")
                continue
            answers[answer.key] = answer
        if others:
            count = "a line" if len(others) == 1 else f"{len(others)} lines"
            words = f"labels.command wrote {count} that cannot count; {others[0]}"
            if not answers:
                raise SourceError(f"{words}; nothing that it wrote is an answer")
            self.complaints.append(words)
        return answers

    def _call(self, orders: Sequence[Order]) -> bytes:
        """What the program writes for these orders."""
        lines = "".join(canonical_json(order.to_row()) + "\n" for order in orders)
        with (
            tempfile.TemporaryFile() as asked,
            tempfile.TemporaryFile() as said,
            tempfile.TemporaryFile() as complained,
        ):
            asked.write(lines.encode())
            asked.seek(0)
            code = self._run(asked, said, complained)
            if code:
                complained.seek(0)
                last = complained.read()[-TAIL:].decode(errors="replace")
                words = printable(last, TAIL)
                raise SourceError(f"labels.command ended with code {code}: {words}")
            said.seek(0)
            return said.read(MAX_OUTPUT)

    def _run(self, asked: IO[bytes], said: IO[bytes], complained: IO[bytes]) -> int:
        """Run it within its limits; its exit code."""
        assert self.command is not None
        try:
            process = subprocess.Popen(
                shlex.split(self.command),
                start_new_session=True,
                stdin=asked,
                stdout=said,
                stderr=complained,
            )
        except OSError as error:
            raise SourceStoppedError(
                f"labels.command={self.command!r} cannot be started: {error.strerror}"
            ) from error
        with suppress(OSError):  # it has ended already
            memory = self.memory_mib << 20
            resource.prlimit(process.pid, resource.RLIMIT_AS, (memory, memory))
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (MAX_OUTPUT, MAX_OUTPUT))
        try:
            return process.wait(timeout=self.timeout)
        except subprocess.TimeoutExpired:
            raise SourceError(
                f"labels.command was stopped after labels.timeout={self.timeout:g} s"
            ) from None
        finally:
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _numbers(claimed: Iterable[tuple[Order, int]]) -> Iterator[tuple[str, int]]:
    return ((order.key, number) for order, number in claimed)
