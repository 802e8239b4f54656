"""One run as a bridge serves it: its open orders go to the source, the answers into its mailbox."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Set
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from rlavr_hpc.config.labels import LabelsConfig
from rlavr_hpc.labels.bank import Bank
from rlavr_hpc.labels.line_files import LinesOut
from rlavr_hpc.labels.mailbox import ANSWERS, AnswersIn, OrdersIn
from rlavr_hpc.labels.orders import Answer, Order
from rlavr_hpc.labels.printable import printable
from rlavr_hpc.labels.sent import CallLog
from rlavr_hpc.labels.source import LabelSource, SourceError, SourceStoppedError
from rlavr_hpc.runs.source_failure import (
    SourceFailure,
    forget_source_failure,
    write_source_failure,
)

Say = Callable[[str], None]
WORDS = 600
"""Characters of a failure that are told."""


@dataclass(slots=True, kw_only=True)
class ServedRun:
    """A run, its source, and what this start of the bridge has written for it."""

    run_dir: Path
    config: LabelsConfig
    source: LabelSource
    say: Say
    """Takes a line for the log."""
    start: str
    """Name of this start of the bridge."""
    watch: Callable[[ServedRun], None] = lambda run: None
    """Called after each answer, and after each look."""
    settled: Callable[[Path], Set[str]] = lambda run: frozenset()
    """Keys whose answers the run has on record; read once, for a mailbox that has lost them."""
    until: str = "the bridge is started again"
    """What ends it that a source is not asked any more."""
    stopped: str = ""
    """Why the source is not asked any more; "" = it is."""
    failed: bool = False
    """Whether the source failed at the last look."""
    orders: OrdersIn = field(init=False)
    answers: AnswersIn = field(init=False)
    bank: Bank | None = field(init=False, default=None)
    _log: CallLog = field(init=False)
    _out: LinesOut = field(init=False)
    _failures: int = 0
    """In a row."""
    _last_failure: str = ""
    _told: set[str] = field(default_factory=set)
    _settled: Set[str] = frozenset()

    def __post_init__(self) -> None:
        """Open the mailbox; calls are claimed in the bank where there is one."""
        self.orders, self.answers = OrdersIn(self.run_dir), AnswersIn(self.run_dir)
        if self.config.bank is not None:
            self.bank = Bank(Path(self.config.bank), start=self.start)
        self._out = LinesOut(self.run_dir / ANSWERS, self.start, tell=self.say)
        self._log = CallLog(
            self.run_dir if self.bank is None else self.bank.folder,
            self.start,
            try_seconds=self.source.try_seconds,
        )

    @property
    def open(self) -> list[Order]:
        """Orders without an answer that are still wanted."""
        return [
            order
            for key, order in self.orders.orders.items()
            if key not in self.answers.first
            and key not in self.orders.withdrawn
            and key not in self._settled
        ]

    def look(self) -> int:
        """Read the mailbox, ask what is open, write what is answered; how many answers came.

        Raises:
            OSError: an answer could not be written; it stays in the source's hands.
        """
        first, self.failed = not self.orders.orders, False
        self._out.restore()
        self.orders.look()
        self.answers.look()
        if first and self.orders.orders:
            self._settled = self.settled(self.run_dir)
            self.source.remember(self.answers.first.values())
        self._tell_refused()
        came = self._from_bank()
        if self.open and not self.stopped:
            self._log.known.look()
            came += self._write(self._ask)
            came += self._give_up()
        if self.orders.orders and not self.stopped:
            self._write(self._correct)
        self._tell_complaints()
        self.watch(self)
        return came

    def put(self, answer: Answer) -> None:
        """Write one answer, on disk on return, also into the bank."""
        order = self.orders.orders.get(answer.key)
        if order is not None:
            answer = replace(answer, cost=answer.cost_at(order.price))
        if self.bank is not None:
            self.bank.put(answer)
        self._out.append([answer.to_row()])
        self.answers.look()
        forget_source_failure(self.run_dir)
        what = "void" if answer.void is not None else "answered"
        who = f" by {printable(answer.annotator)}" if answer.annotator else ""
        why = f": {printable(answer.void)}" if answer.void is not None else ""
        seconds = "" if answer.seconds is None else f", {answer.seconds:.1f} s"
        cost = "" if answer.cost is None else f", cost {answer.cost:g}"
        name = printable(order.prompt_id) if order is not None else "?"
        self.say(f"{self.run_dir.name}: {answer.key[:8]} ({name}) {what}{who}{seconds}{cost}{why}")
        self.watch(self)

    def _from_bank(self) -> int:
        """Answers that another run has paid for."""
        if self.bank is None:
            return 0
        self.bank.look()
        known = [a for order in self.open if (a := self.bank.answers.get(order.key)) is not None]
        for answer in known:
            self._out.append([answer.to_row()])
            self.say(f"{self.run_dir.name}: {answer.key[:8]} from the bank")
        if known:
            self.answers.look()
        return len(known)

    def retire(self) -> None:
        """Take back what is open: the run wants no labels any more."""
        self.orders.look()
        self.answers.look()
        if self.open and not self.stopped:
            try:
                self.source.withdraw([order.key for order in self.open])
            except SourceError as error:
                self.failed = True
                self.say(f"{self.run_dir.name}: what it has asked is not taken back: {error}")

    def _ask(self) -> Iterator[Answer]:
        """New answers to open orders."""
        if withdrawn := [key for key in self.orders.withdrawn if key not in self.answers.first]:
            self.source.withdraw(withdrawn)
        for answer in self._said():
            if answer.key not in self.answers.first:
                yield answer

    def _said(self) -> Iterator[Answer]:
        yield from self.source.order(self.open, self._log)
        yield from self.source.collect(self.open)

    def _correct(self) -> Iterator[Answer]:
        """Answers that were changed, to be written behind those that they correct."""
        corrected = {key: self.answers.latest(key) for key in self.answers.corrected}
        yield from list(self.source.corrections({**self.answers.first, **corrected}))

    def _write(self, said: Callable[[], Iterator[Answer]]) -> int:
        """Write what the source says, and tell what goes wrong; how many answers came."""
        came = 0
        try:
            for answer in said():
                self.put(answer)
                came += 1
                self._failures = 0
        except SourceStoppedError as error:
            self._stop(printable(str(error), WORDS))
        except SourceError as error:
            self._fail(printable(str(error), WORDS))
        return came

    def _fail(self, why: str) -> None:
        self._failures += 1
        if self._failures == 1 or self._last_failure != why:
            self.say(f"{self.run_dir.name}: {why} ({self._failures} in a row)")
        self._record_failure(why)
        if self._failures >= self.config.max_failures:
            self._stop(f"{self._failures} failures in a row, the last: {why}")

    def _stop(self, why: str) -> None:
        self.say(f"{self.run_dir.name}: {why}; nothing more is asked until {self.until}")
        self.stopped = why
        self._record_failure(why)

    def _record_failure(self, why: str) -> None:
        self.failed, self._last_failure = True, why
        failure = SourceFailure(time=time.time(), words=why, stopped=bool(self.stopped))
        with suppress(OSError):  # it was said
            write_source_failure(self.run_dir, failure)

    def _give_up(self) -> int:
        """Orders whose calls have failed for too long are void."""
        late = []
        for order in self.open:
            calls = self._log.known.calls.get(order.key)
            if calls is None or calls.first is None or not calls.failure:
                continue
            if self._log.in_flight(order.key):
                continue  # its answer may be on its way
            if time.time() - calls.first >= self.config.deadline:
                why = f"no answer in labels.deadline={self.config.deadline:g} s: {calls.failure}"
                late.append(Answer(key=order.key, void=why, cost=calls.cost))
        for answer in late:
            self.put(answer)
        return len(late)

    def _tell_refused(self) -> None:
        for refused in (*self.orders.refused, *self.answers.refused):
            if refused.where not in self._told:
                self._told.add(refused.where)
                self.say(f"{self.run_dir.name}: {refused.where} does not count: {refused.why}")

    def _tell_complaints(self) -> None:
        for complaint in self.source.complaints:
            if complaint not in self._told:
                self._told.add(complaint)
                self.say(f"{self.run_dir.name}: {complaint}")
        self.source.complaints.clear()
