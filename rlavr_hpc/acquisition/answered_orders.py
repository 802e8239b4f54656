"""Which of a run's orders its ledger holds an answer to, whatever has become of the mailbox."""

from __future__ import annotations

from pathlib import Path

from rlavr_hpc.acquisition.ledger import read_ledger
from rlavr_hpc.errors import RlavrError


def answered_orders(run_dir: Path) -> frozenset[str]:
    """Keys of the orders whose answers are on the ledger; none of one that cannot be read."""
    try:
        return frozenset(read_ledger(run_dir).orders.received)
    except RlavrError:
        return frozenset()  # damaged, which the run's next start tells
