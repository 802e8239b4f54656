"""What the ledger says of orders to a live source: asked, paid for, answered, seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rlavr_hpc.acquisition.purchase_history import Step
from rlavr_hpc.errors import LedgerError

Intent = tuple[Step, str]
"""The step of a decision, and the prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedOrder:
    """One question on record."""

    key: str
    prompt: str
    price: float
    copy: int
    """How many were asked for the same label before it."""
    gold: bool
    """Whether its answer is known, and the source is what is asked about."""
    shown: Mapping[str, Any] = field(default_factory=dict)
    """What the source sees besides the question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedAnswer:
    """One answer on record."""

    key: str
    step: Step
    """In which it became visible."""
    answer: str | None
    verdict: str | None
    void: str | None
    annotator: str
    model: str
    cost: float
    seconds: float | None


@dataclass(slots=True)
class OrderHistory:
    """All orders and answers of a run."""

    of_intent: dict[Intent, list[PlacedOrder]] = field(default_factory=dict)
    gold: dict[str, PlacedOrder] = field(default_factory=dict)
    """By key."""
    received: dict[str, ReceivedAnswer] = field(default_factory=dict)
    """By key."""
    calls: dict[str, tuple[int, float]] = field(default_factory=dict)
    """By key: calls of a service, and what they cost together."""
    corrected: dict[str, str] = field(default_factory=dict)
    """By key: the label that its source has put in the place of its answer."""
    seen: set[tuple[Step, str]] = field(default_factory=set)
    """Steps that have seen what came of `earlier` orders, or of those of the `step` itself."""
    unsettled: dict[Intent, None] = field(default_factory=dict)
    """Intents whose outcome nobody has seen, in the order in which they were asked."""

    def enter(self, step: Step, row: Mapping[str, Any], where: str) -> None:
        """Add a line that is none of a purchase.

        Raises:
            LedgerError: it contradicts the lines before it.
        """
        match row["kind"]:
            case "ordered":
                self._enter_order((row["decided"][0], row["decided"][1]), row, where)
            case "received":
                self._enter_answer(step, row, where)
            case "sent":
                self.calls[row["key"]] = (row["calls"], float(row["cost"]))
            case "seen":
                self.seen.add((step, row["of"]))
            case "superseded":
                self.corrected[row["key"]] = row["label"]

    def _enter_order(self, decided: Step, row: Mapping[str, Any], where: str) -> None:
        order = PlacedOrder(
            key=row["key"],
            prompt=row["prompt"],
            price=float(row["price"]),
            copy=row["copy"],
            gold=row["gold"],
            shown=row["shown"],
        )
        if order.gold:
            self.gold[order.key] = order
            return
        placed = self.of_intent.setdefault((decided, order.prompt), [])
        if any(one.key == order.key for one in placed):
            raise LedgerError(f"{where}: {order.key} was ordered twice in step {decided[1]}")
        placed.append(order)
        self.unsettled[decided, order.prompt] = None

    def _enter_answer(self, step: Step, row: Mapping[str, Any], where: str) -> None:
        key = row["key"]
        if key in self.received:
            raise LedgerError(f"{where}: {key} was answered twice")
        self.received[key] = ReceivedAnswer(
            key=key,
            step=step,
            **{name: row[name] for name in ("answer", "verdict", "void", "annotator", "model")},
            cost=float(row["cost"]),
            seconds=row["seconds"],
        )

    @property
    def ordered(self) -> int:
        """Questions asked, those with a known answer included; each key once."""
        keys = {order.key for placed in self.of_intent.values() for order in placed}
        return len(keys | self.gold.keys())

    @property
    def models(self) -> list[str]:
        """What the source called itself, answer by answer."""
        return [one.model.split()[0] for one in self.received.values() if one.model.strip()]

    @property
    def in_flight(self) -> float:
        """The most that answers which nobody has seen may still cost."""
        open_orders = {
            order.key: order.price
            for intent in self.unsettled
            for order in self.of_intent[intent]
            if order.key not in self.received
        }
        gold = {k: o.price for k, o in self.gold.items() if k not in self.received}
        return sum({**open_orders, **gold}.values())

    def paid_for(self, intent: Intent) -> float:
        """What the answers to an intent have cost so far."""
        found = (self.received.get(order.key) for order in self.of_intent.get(intent, ()))
        return sum(one.cost for one in found if one is not None)

    @property
    def gold_cost(self) -> float:
        """Of the questions with a known answer; one whose label is bought too is paid there."""
        bought = {order.key for placed in self.of_intent.values() for order in placed}
        received = [self.received[key] for key in self.gold if key in self.received]
        return sum(answer.cost for answer in received if answer.key not in bought)
