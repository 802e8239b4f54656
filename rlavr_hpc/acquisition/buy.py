"""The only function that spends, and the offer it spends on."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

from rlavr_hpc.acquisition.ledger import Ledger, as_label
from rlavr_hpc.acquisition.ledger_state import BudgetRules
from rlavr_hpc.acquisition.purchase_history import Purchase
from rlavr_hpc.errors import LedgerError
from rlavr_hpc.labels.source import LabelSource
from rlavr_hpc.types import Group, Label, Selection, StepKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """What a policy may choose from at one step."""

    candidates: tuple[Group, ...]
    """Groups whose label may be bought: not owned yet, not known to have none."""
    quota: int
    """At most this many."""
    owned: dict[str, Label]
    """Labels of this step's prompts that were bought before and are free now."""


def find_candidates(
    groups: Sequence[Group],
    *,
    step_key: StepKey,
    ledger: Ledger,
    rules: BudgetRules,
    quota: int,
    buyable: Set[str] | None = None,
) -> Candidates:
    """Split a step's groups into owned labels and candidates, and set the step's quota.

    The quota is the step's, lowered at the run's cap; intents that met no label have been spent.

    Args:
        groups: of the step.
        step_key: of the step.
        ledger: what was bought before.
        rules: of the budget.
        quota: of the step.
        buyable: prompts that may be candidates at all; None = all.
    """
    past = ledger.state.before(step_key)
    ids = [group.prompt.id for group in groups] if rules.reuse else []
    known = {prompt: past.labels[prompt] for prompt in ids if prompt in past.labels}
    owned = {
        prompt: label
        for prompt, purchase in known.items()
        if (label := as_label(prompt, purchase, reused=True))
    }
    left = quota if rules.total is None else min(quota, rules.total - past.asked)
    return Candidates(
        candidates=tuple(
            g
            for g in groups
            if g.prompt.id not in owned
            and g.prompt.id not in past.void
            and (buyable is None or g.prompt.id in buyable)
        ),
        quota=max(0, left),
        owned=owned,
    )


def buy_labels(
    selection: Selection,
    *,
    offer: Candidates,
    step_key: StepKey,
    ledger: Ledger,
    source: LabelSource,
) -> dict[str, Label]:
    """Buy what the policy chose and return every label this step may be trained on.

    Order: the decision goes to disk, then the source is asked, then the labels go to disk, then
    they are returned. A step that was decided in an earlier attempt keeps that decision, and
    labels on disk are not asked for again.

    Raises:
        LedgerError: the record cannot be written, or the policy chose what was not on offer; no
            label of this step was used.
    """
    unknown = set(selection.selected) - {group.prompt.id for group in offer.candidates}
    if unknown:
        raise LedgerError(f"the policy chose {sorted(unknown)[0]!r}, which is not on offer")
    decided = ledger.decide(step_key, selection.selected, quota=offer.quota)
    missing = [prompt for prompt in decided if ledger.outcome(step_key, prompt) is None]
    if missing:
        answers = source.reveal(missing)
        ledger.commit(
            step_key,
            {
                prompt: Purchase(
                    answer=answers.get(prompt), cost=source.cost if prompt in answers else 0.0
                )
                for prompt in missing
            },
        )
    bought = dict(offer.owned)
    for prompt in decided:
        purchase = ledger.outcome(step_key, prompt)
        assert purchase is not None
        if label := as_label(prompt, purchase):
            bought[prompt] = label
    return bought
