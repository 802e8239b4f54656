"""The runs of a desk as one: each key once, whatever runs have ordered it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

from rlavr_hpc.labels.orders import Answer, Order
from rlavr_hpc.labels.served_run import ServedRun


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOrder:
    """An order that waits for an answer."""

    order: Order
    runs: tuple[ServedRun, ...]
    """Those that wait for it; the first tells how it is graded."""


@dataclass(slots=True)
class Mailboxes:
    """The orders and answers of all runs that a desk serves."""

    wanted: Callable[[Path], bool] = lambda run: True
    """Whether a run may still use labels; nobody is asked for any other."""
    runs: list[ServedRun] = field(default_factory=list)
    open: dict[str, OpenOrder] = field(default_factory=dict)
    """By key; the run that lacks least comes first, then the order of its file."""
    answers: dict[str, Answer] = field(default_factory=dict)
    """By key: the one that counts."""
    seen: dict[str, set[str]] = field(default_factory=dict)
    """Annotator -> contents of the questions answered."""
    _contents: dict[str, str] = field(default_factory=dict)
    _unwanted: set[Path] = field(default_factory=set)
    _indexed: list[tuple[int, ...]] = field(default_factory=list)

    def serve(self, runs: Sequence[ServedRun]) -> None:
        """Serve these runs too; those that are served already stay as they are."""
        known = {run.run_dir for run in self.runs}
        self.runs += [run for run in runs if run.run_dir not in known]

    def look(self) -> None:
        """Read all mailboxes, and give a run what another one has an answer to.

        Raises:
            OSError: of one run; all others were looked at. The next look tries again.
        """
        trouble = None
        for run in self.runs:
            try:
                run.look()
            except OSError as error:
                trouble = error
        self._unwanted = {run.run_dir for run in self.runs if not self.wanted(run.run_dir)}
        self._index()
        if self._share():
            self._index()
        if trouble is not None:
            raise trouble

    def put(self, answer: Answer) -> bool:
        """Write an answer for every run that waits for it; False = none does.

        Raises:
            OSError: it could not be written everywhere; it may be put again.
        """
        waiting = self.open.get(answer.key)
        if waiting is None:
            return False
        for run in waiting.runs:
            run.put(answer)
        self._index()
        return True

    def open_of(self, run: ServedRun) -> list[Order]:
        """A run's open orders; none of one that wants no labels any more."""
        return [] if run.run_dir in self._unwanted else run.open

    def content(self, key: str) -> str:
        """The same for all orders of one question; "" for a key that no run has ordered."""
        return self._contents.get(key, "")

    def median_seconds(self, at_least: int) -> float | None:
        """Median time of an answer; None while there are fewer than `at_least`."""
        took = [a.seconds for a in self.answers.values() if a.seconds and a.void is None]
        return median(took) if len(took) >= at_least else None

    def _share(self) -> bool:
        """What is answered in one run is answered in all: nobody is asked again."""
        shared = False
        for key, waiting in self.open.items():
            answer = self.answers.get(key)
            if answer is not None and answer.void is None:
                for run in waiting.runs:
                    run.put(replace(answer))
                    shared = True
        return shared

    def _index(self) -> None:
        sizes = [(len(self.open_of(run)), *_sizes(run)) for run in self.runs]
        if sizes == self._indexed:
            return
        self._indexed = sizes
        self._index_open()
        self.answers, self.seen = {}, {}
        for run in self.runs:
            for answer in _all_answers(run):
                self.answers.setdefault(answer.key, answer)
                if content := self._contents.get(answer.key):
                    self.seen.setdefault(answer.annotator, set()).add(content)

    def _index_open(self) -> None:
        waiting: dict[str, list[ServedRun]] = {}
        orders: dict[str, Order] = {}
        for run in sorted(self.runs, key=lambda run: len(self.open_of(run))):
            for order in self.open_of(run):
                orders.setdefault(order.key, order)
                waiting.setdefault(order.key, []).append(run)
            new = (o for key, o in run.orders.orders.items() if key not in self._contents)
            self._contents |= {order.key: order.content for order in new}
        self.open = {
            key: OpenOrder(order=orders[key], runs=tuple(runs)) for key, runs in waiting.items()
        }


def _sizes(run: ServedRun) -> tuple[int, ...]:
    later = sum(map(len, run.answers.later.values()))
    return len(run.orders.orders), len(run.orders.withdrawn), len(run.answers.first), later


def _all_answers(run: ServedRun) -> Iterator[Answer]:
    yield from run.answers.first.values()
    for later in run.answers.later.values():
        yield from later
