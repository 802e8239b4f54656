"""What a run has behind it at a step, kept up to date: no step walks through all of it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

Step = tuple[int, int]
"""(branch, step): ordered as a run goes through them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """What became of one prompt's intent."""

    answer: str | None
    """None = void: there is no label for it."""
    cost: float
    wrong: str | None = None
    """The answer that is known not to be right, where that is all that is known."""
    why: str = ""
    """Of a void one, where the source says it."""
    decided: Step | None = None
    """The step of the intent, where the label came in a later one."""


NOTHING: Mapping[str, Purchase] = {}


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
    """The same, the void and the pending ones."""
    pending: set[str] = field(default_factory=set)
    """Prompts that were asked about, and nothing was seen yet."""

    def add(
        self,
        purchases: Mapping[str, Purchase],
        *,
        ordered: Collection[str] = (),
        corrected: Mapping[str, Purchase] = NOTHING,
    ) -> None:
        """Put one more step behind.

        Args:
            purchases: what was seen in it, of its own intent and of earlier ones.
            ordered: prompts of its intent that a live source was asked about.
            corrected: labels that were corrected in it.
        """
        own = {prompt for prompt, purchase in purchases.items() if purchase.decided is None}
        self.asked += len(own.union(ordered))
        self.pending.update(ordered)
        self.labels.update(corrected)
        for prompt, purchase in purchases.items():
            self.pending.discard(prompt)
            if purchase.answer is None:
                self.void.add(prompt)
            else:
                self.labels[prompt] = purchase
                self.bought += 1


@dataclass(slots=True)
class BranchHistory:
    """A place in a growing record, with the past before it."""

    _order: list[Step] = field(default_factory=list)
    """Of all steps that something is on record of."""
    _passed: int = 0
    """How many of them are in the past."""
    _past: PurchaseHistory = field(default_factory=PurchaseHistory)

    def note(self, key: Step) -> None:
        """Something stands on record of this step; begin anew if it is in the past already."""
        if self._passed and key <= self._order[self._passed - 1]:
            self._passed, self._past = 0, PurchaseHistory()
        place = bisect_left(self._order, key)
        if place == len(self._order) or self._order[place] != key:
            self._order.insert(place, key)

    def before(self, here: Step, add: Callable[[PurchaseHistory, Step], None]) -> PurchaseHistory:
        """The past of `here`; not to be kept beyond the next call.

        Args:
            here: the step.
            add: puts what is on record of one step into a history.
        """
        if self._passed and here <= self._order[self._passed - 1]:  # it was further than this
            self._passed, self._past = 0, PurchaseHistory()
        while self._passed < len(self._order) and self._order[self._passed] < here:
            add(self._past, self._order[self._passed])
            self._passed += 1
        return self._past
