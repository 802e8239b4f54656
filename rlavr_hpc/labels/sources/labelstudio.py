"""`labels=labelstudio`: annotators in a Label Studio of one's own, by plain HTTP.

Each look lists the project's tasks, adds those that are missing, and reads what was annotated.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rlavr_hpc.labels.http_call import check_address
from rlavr_hpc.labels.orders import Answer, Order
from rlavr_hpc.labels.secret import read_key
from rlavr_hpc.labels.sent import ANSWERED, FAILED, LATER, CallLog
from rlavr_hpc.labels.source import Source, SourceError
from rlavr_hpc.labels.sources.labelstudio_api import UnknownEndError
from rlavr_hpc.labels.sources.labelstudio_project import SharedProject, project_of
from rlavr_hpc.labels.sources.labelstudio_reading import answer_of, task_data

BATCH = 50
"""Tasks of one import."""
RARELY = 9
"""A project without open orders is read after so many more pauses."""
MOST_SECONDS = 60.0
"""Of one call, whatever labels.timeout says: the other side only reads and writes its tables."""


@dataclass(kw_only=True)
class LabelStudioSource(Source):
    """Asks the annotators of a project."""

    base_url: str | None = None
    project: int | None = None
    key_variable: str | None = "LABEL_STUDIO_TOKEN"
    timeout: float = 60.0
    every: float = 60.0
    """Seconds between two readings of the project."""
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    _project: SharedProject = field(init=False, repr=False)
    _reading: int = field(init=False, repr=False, default=0)
    """The last one that was looked through for answers."""
    _compared: int = field(init=False, repr=False, default=0)
    """The last one that was looked through for corrections."""
    _not_before: dict[str, float] = field(init=False, repr=False, default_factory=dict)
    """Key -> when it may be imported again, after an import with an unknown end."""
    _gone: set[str] = field(init=False, repr=False, default_factory=set)
    """Keys whose tasks were deleted."""
    _told: set[int] = field(init=False, repr=False, default_factory=set)

    def __post_init__(self) -> None:
        """Refuse settings that cannot work."""
        self.base_url = check_address("labels.base_url", self.base_url)
        if self.project is None:
            raise ValueError("labels.project is missing: the number of the Label Studio project")
        seconds = min(self.timeout, MOST_SECONDS)
        self.try_seconds = seconds + 60.0
        self._project = project_of(self.base_url, self.project, self.key_variable, seconds)

    def check_here(self) -> None:
        """Refuse a token that is not in this environment.

        Raises:
            SourceStoppedError: it is missing, or cannot be sent.
        """
        read_key(self.key_variable)

    def order(self, orders: Sequence[Order], log: CallLog) -> Iterator[Answer]:
        """Read the project, add tasks that are missing, and yield what was annotated.

        Raises:
            SourceError: the project cannot be read, or tasks cannot be added.
            SourceStoppedError: the token or the project is refused.
        """
        before, now = self._project.readings, self.clock()
        reading = self._project.look(now, every=self.every)
        if reading == self._reading:
            return
        if reading == before and self._missing(orders):
            # Read for another run, before `log` was: a second bridge may have added them since.
            reading = self._project.look(now, every=0.0)
        self._tell_extra()
        for order in orders:
            yield from self._answered(order, log)
        self._gone -= {order.key for order in orders}
        missing = self._missing(orders)
        for start in range(0, len(missing), BATCH):
            self._add(missing[start : start + BATCH], log)
        self._reading = reading

    def corrections(self, known: Mapping[str, Answer]) -> Iterator[Answer]:
        """Annotations that were edited since: they say something else than what is known.

        Raises:
            SourceError: the project cannot be read.
            SourceStoppedError: the token or the project is refused.
        """
        reading = self._project.look(self.clock(), every=RARELY * self.every)
        if self._compared == reading:
            return
        self._tell_extra()
        self._compared = reading
        for key, annotation in self._project.counted.of.items():
            if (before := known.get(key)) is None:
                continue
            now = answer_of(key, annotation, cost=0.0)
            same = (before.answer, before.verdict, before.void)
            if (now.answer, now.verdict, now.void) != same and now.annotator == before.annotator:
                yield replace(now, corrects=True)

    def withdraw(self, keys: Sequence[str]) -> None:
        """Delete the tasks of these on which nobody has worked, once each.

        Raises:
            SourceError: the project cannot be read, or a task cannot be deleted.
        """
        new = [key for key in keys if key not in self._gone]
        if not new:
            return
        self._project.look(self.clock(), every=0.0)
        for key in new:
            task = self._project.asked.get(key)
            for number in task.untouched if task is not None else ():
                self._project.delete(number)
        self._gone |= {*new}

    def _missing(self, orders: Sequence[Order]) -> list[Order]:
        return [order for order in orders if order.key not in self._project.asked]

    def _answered(self, order: Order, log: CallLog) -> Iterator[Answer]:
        if order.key not in self._project.asked:
            return
        calls = log.known.calls.get(order.key)
        number = max(calls.begun, default=0) if calls is not None else 0
        annotation = self._project.counted.of.get(order.key)
        if annotation is not None:
            if number:
                log.ended(order.key, number, ANSWERED, cost=order.price)
            yield answer_of(order.key, annotation, cost=order.price)
        elif calls is not None and calls.failure:
            log.ended(order.key, number, LATER, cost=0.0)  # its import came through

    def _add(self, orders: Sequence[Order], log: CallLog) -> None:
        now = self.clock()
        due = [order for order in orders if now >= self._not_before.get(order.key, 0.0)]
        if not (claimed := log.claim(due)):
            return
        how, failure = LATER, None
        try:
            self._project.add([task_data(order) for order, _ in claimed])
        except SourceError as error:
            how, failure = f"{FAILED}{error}", error
        if isinstance(failure, UnknownEndError):
            again = self.clock() + self._project.project.seconds
            self._not_before |= {order.key: again for order, _ in claimed}
        for order, number in claimed:
            log.ended(order.key, number, how, cost=0.0)
        if failure is not None:
            raise failure

    def _tell_extra(self) -> None:
        """Annotations that do not count, once each."""
        extra = self._project.counted.extra
        for one in self._project.asked.values() if extra else ():
            for annotation in one.annotations:
                why = extra.get(annotation.id)
                if why and annotation.id not in self._told:
                    self._told.add(annotation.id)
                    self.complaints.append(
                        f"annotation {annotation.id} by {annotation.person}: {why}; "
                        "it does not count"
                    )
