"""Which questions with a known answer go with a run's new orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from rlavr_hpc.acquisition.order_history import OrderHistory
from rlavr_hpc.acquisition.order_maker import OrderMaker
from rlavr_hpc.config.labels import LabelsConfig
from rlavr_hpc.labels.orders import Order


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldOrders:
    """Chooses them: the first few at the start, then a share of all orders."""

    config: LabelsConfig
    prompts: tuple[str, ...]
    """Prompts with a known answer, in the order in which they are used."""

    def make(
        self, history: OrderHistory, maker: OrderMaker, *, beside: Sequence[str], most: int | None
    ) -> list[Order]:
        """Orders whose answers are known; each prompt is used once.

        Args:
            history: of the run's orders.
            maker: makes them; a source that changed behind its name is tried anew.
            beside: prompts of the orders that they go with.
            most: as many as the money allows; None = any number.
        """
        due = self._due(history, maker, new=len(beside)) if beside else 0
        if most is not None:
            due = min(due, most)
        if due <= 0:
            return []
        taken = {order.prompt for order in history.gold.values()}
        taken |= {prompt for _, prompt in history.of_intent} | {*beside}
        free = (prompt for prompt in self.prompts if prompt not in taken)
        return [maker.make(prompt, {}, copy=0) for prompt in islice(free, due)]

    def _due(self, history: OrderHistory, maker: OrderMaker, *, new: int) -> int:
        gold, share = history.gold, self.config.gold
        asked = history.ordered - len(gold) + new
        mixed_in = int(share / (1 - share) * asked + 1e-9) - len(gold)
        first = self.config.gold_first
        of_this_source = (o for o in gold.values() if maker.key_of(o.prompt, {}, copy=0) in gold)
        tried = sum(1 for _ in islice(of_this_source, first))
        return max(mixed_in, first - tried)
