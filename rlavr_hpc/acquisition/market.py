"""Where labels are bought: at once from the data set, or by orders to a live source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from rlavr_hpc.acquisition.ledger import Ledger
from rlavr_hpc.acquisition.purchase_history import Purchase
from rlavr_hpc.types import Group, StepKey


class LabelMarket(Protocol):
    """Turns decisions into purchases on the ledger. Only `buy.buy_labels` buys."""

    @property
    def stopped(self) -> Callable[[], str]:
        """Says why no label that is pending will come; "" = it may."""

    def quote(self, groups: Sequence[Group]) -> float:
        """The most that one label of any of these may cost."""

    def see_earlier(self, step_key: StepKey, ledger: Ledger) -> None:
        """Put on record what has come of earlier steps' orders; done once a step."""

    def buy(self, step_key: StepKey, wanted: Sequence[Group], ledger: Ledger) -> None:
        """Ask about what was not asked about, and put on record what is known by now."""

    def close(self, step_key: StepKey, ledger: Ledger) -> None:
        """Put on record that this step waits no longer for its own orders."""


class InstantLabels(Protocol):
    """Answers that are there already."""

    @property
    def cost(self) -> float:
        """Of one label."""

    def reveal(self, prompt_ids: Iterable[str]) -> Mapping[str, str]:
        """The true answers of these prompts; a prompt without a label is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetMarket:
    """Labels that the data set holds back: a purchase uncovers one."""

    labels: InstantLabels
    stopped: Callable[[], str] = lambda: ""

    def quote(self, groups: Sequence[Group]) -> float:
        """The price of any label."""
        return self.labels.cost

    def see_earlier(self, step_key: StepKey, ledger: Ledger) -> None:
        """Nothing is ever pending."""

    def buy(self, step_key: StepKey, wanted: Sequence[Group], ledger: Ledger) -> None:
        """Uncover them; a prompt without a label is void and costs nothing."""
        prompts = [group.prompt.id for group in wanted]
        answers = self.labels.reveal(prompts)
        ledger.commit(
            step_key,
            {
                prompt: Purchase(
                    answer=answers.get(prompt),
                    cost=self.labels.cost if prompt in answers else 0.0,
                )
                for prompt in prompts
            },
        )

    def close(self, step_key: StepKey, ledger: Ledger) -> None:
        """Nothing is ever pending."""
