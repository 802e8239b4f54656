"""What a run has behind it at a step, kept up to date: no step walks through all of it."""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping
from dataclasses import dataclass, field

Step = tuple[int, int]
"""(branch, step): ordered as a run goes through them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """What became of one prompt's intent."""

    answer: str | None
    """None = void: the data has no label for it."""
    cost: float


@dataclass(slots=True)
class PurchaseHistory:
    """All purchases of the steps before one."""

    labels: dict[str, Purchase] = field(default_factory=dict)
    """By prompt, the last one of each."""
    void: set[str] = field(default_factory=set)
    """Prompts that met no label."""
    bought: int = 0
    """Labels paid for."""
    asked: int = 0
    """The same, and the void ones."""

    def add(self, purchases: Mapping[str, Purchase]) -> None:
        """Put one more step behind."""
        self.asked += len(purchases)
        for prompt, purchase in purchases.items():
            if purchase.answer is None:
                self.void.add(prompt)
            else:
                self.labels[prompt] = purchase
                self.bought += 1


@dataclass(slots=True)
class BranchHistory:
    """A place in a growing record, with the past before it."""

    _order: list[Step] = field(default_factory=list)
    """Of all steps with a decision."""
    _passed: int = 0
    """How many of them are in the past."""
    _past: PurchaseHistory = field(default_factory=PurchaseHistory)

    def decided(self, key: Step) -> None:
        """One more step has a decision."""
        self.changed(key)
        insort(self._order, key)

    def changed(self, key: Step) -> None:
        """Something was bought for a step; begin anew if it is in the past already."""
        if self._passed and key <= self._order[self._passed - 1]:
            self._passed, self._past = 0, PurchaseHistory()

    def before(
        self, here: Step, purchases: Mapping[Step, Mapping[str, Purchase]]
    ) -> PurchaseHistory:
        """The past of `here`; not to be kept beyond the next call."""
        self.changed(here)  # the walk may have been further than this
        while self._passed < len(self._order) and self._order[self._passed] < here:
            self._past.add(purchases[self._order[self._passed]])
            self._passed += 1
        return self._past
