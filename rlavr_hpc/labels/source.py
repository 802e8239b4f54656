"""What a label source is: who gives true answers for money, now or later."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from rlavr_hpc.errors import RlavrError
from rlavr_hpc.labels.orders import Answer, Order
from rlavr_hpc.labels.sent import CallLog


class SourceError(RlavrError):
    """The source could not be asked, or what it said cannot be used; its orders stay open."""


class SourceStoppedError(SourceError):
    """Asking again is useless: no key, an empty purse, no such program."""


class LabelSource(Protocol):
    """Gives answers for money. Derive a dataclass from `Source`; its fields are its settings.

    A run makes one for `quote` alone; the bridge makes another one, where there is a network.
    """

    try_seconds: float
    """A call is over after so long."""
    complaints: list[str]
    """What was wrong with single answers; whoever asks takes them away and tells them."""

    def quote(self, order: Order) -> float:
        """The most that an answer may cost; must not need a network."""

    def check_here(self) -> None:
        """Refuse what surely cannot work on this host; asks nobody, and must be quick.

        Raises:
            SourceStoppedError: it cannot be asked from here.
        """

    def order(self, orders: Sequence[Order], log: CallLog) -> Iterator[Answer]:
        """Ask, and yield what is answered at once.

        The bridge offers every open order at every look, so an order that was passed on before
        must be recognized by its key. What costs is claimed with `log.claim` right before it is
        sent, and ended with `log.ended`.

        Raises:
            SourceError: the source failed.
            SourceStoppedError: it must not be asked any more.
        """

    def collect(self, orders: Sequence[Order]) -> Iterable[Answer]:
        """Answers that have come since, to any of the open orders."""

    def corrections(self, known: Mapping[str, Answer]) -> Iterable[Answer]:
        """Answers that have been changed since, by whoever gave them.

        Args:
            known: by key, the latest answers.
        """

    def withdraw(self, keys: Sequence[str]) -> None:
        """These are not wanted any more."""

    def remember(self, answers: Iterable[Answer]) -> None:
        """What it has said before, told once at the start."""


@dataclass(kw_only=True)
class Source:
    """A source that answers at once or not at all; derive your own from it."""

    try_seconds: float = field(default=600.0, init=False)
    complaints: list[str] = field(default_factory=list, init=False)
    """What was wrong with single answers; whoever asks takes them away and tells them."""

    def quote(self, order: Order) -> float:
        """The order's price."""
        return order.price

    def check_here(self) -> None:
        """Nothing is known to be wrong."""

    def order(self, orders: Sequence[Order], log: CallLog) -> Iterator[Answer]:
        """Ask."""
        raise NotImplementedError

    def collect(self, orders: Sequence[Order]) -> Iterable[Answer]:
        """Nothing comes later."""
        return ()

    def corrections(self, known: Mapping[str, Answer]) -> Iterable[Answer]:
        """What is said is said."""
        return ()

    def withdraw(self, keys: Sequence[str]) -> None:
        """Nothing to do."""

    def remember(self, answers: Iterable[Answer]) -> None:
        """Nothing to do."""
