"""`labels=people`: `rlavr labels desk DIR` asks annotators; the bridge itself asks nobody."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rlavr_hpc.labels.orders import Answer, Order
from rlavr_hpc.labels.sent import CallLog
from rlavr_hpc.labels.source import Source


@dataclass(kw_only=True)
class PeopleSource(Source):
    """People at the desk's page, which reads the orders and writes the answers by itself."""

    def order(self, orders: Sequence[Order], log: CallLog) -> Iterator[Answer]:
        """Leave them to the desk."""
        yield from ()
