"""What a run with a live label source has ordered, what is pending, and what was really paid."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlavr_hpc.acquisition.ledger_state import LedgerState
from rlavr_hpc.acquisition.order_history import OrderHistory, PlacedOrder
from rlavr_hpc.config.labels import LabelsConfig
from rlavr_hpc.labels.paid import Payments, payments

OF_LEDGER = "ledger"
"""Names payments that only the ledger knows of: the mailbox is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSpend:
    """Orders and money of one run, beside what its ledger charges."""

    source: str
    """Its registered name."""
    shared: bool
    """Whether the run has a label bank, and pays together with others."""
    ordered: int
    """Answers asked for, those to questions with a known answer included."""
    pending: int
    """Of these, the ones that the run waits for."""
    payments: Payments = field(repr=False)
    """Of the whole study where the run has a label bank."""

    @property
    def paid(self) -> float:
        """Sum of the payments."""
        return sum(self.payments.values())

    def as_text(self, *, charged: float) -> str:
        """A line for a person.

        Args:
            charged: what the run's ledger says.
        """
        whose = " by all runs with its label bank" if self.shared else ""
        return (
            f"labels={self.source}: {self.ordered} answers ordered, {self.pending} pending; "
            f"charged {charged:g}, really paid {self.paid:g}{whose}"
        )

    def values(self) -> dict[str, Any]:
        """For a program."""
        return {
            "labels_ordered": self.ordered,
            "labels_pending": self.pending,
            "cost_paid": self.paid,
        }


def live_spend(run_dir: Path, labels: LabelsConfig, ledger_state: LedgerState) -> LiveSpend | None:
    """What a run has ordered and paid; None where its labels are the data's own."""
    if not labels.live:
        return None
    history = ledger_state.orders
    placed = all_orders(history)
    folder = run_dir if labels.bank is None else Path(labels.bank)
    paid = payments(folder, {order.key: order.price for order in placed})
    known = {key for _, key, _ in paid}
    for key, answer in history.received.items():
        if key not in known:
            paid[OF_LEDGER, key, 0] = answer.cost
    return LiveSpend(
        source=labels.name,
        shared=labels.bank is not None,
        ordered=history.ordered,
        pending=len(pending_keys(history)),
        payments=paid,
    )


def live_values(run_dir: Path, labels: LabelsConfig, ledger_state: LedgerState) -> dict[str, Any]:
    """The same for a program; nothing where labels are the data's own."""
    live = live_spend(run_dir, labels, ledger_state)
    return {} if live is None else live.values()


def all_orders(history: OrderHistory) -> list[PlacedOrder]:
    """Every order of a run, those to questions with a known answer included."""
    return [order for placed in history.of_intent.values() for order in placed] + [
        *history.gold.values()
    ]


def pending_keys(history: OrderHistory) -> set[str]:
    """Keys that are asked for, wanted, and not answered."""
    open_orders = {order.key for intent in history.unsettled for order in history.of_intent[intent]}
    return (open_orders | history.gold.keys()) - history.received.keys()


def joined_payments(spends: Iterable[LiveSpend | None]) -> Payments:
    """The payments of several runs: those of a bank, or of a folder and its copy, once."""
    found: Payments = {}
    for spend in spends:
        if spend is not None:
            found |= spend.payments
    return found
