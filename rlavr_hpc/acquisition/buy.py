"""The only function that spends, and the offer it spends on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field

from rlavr_hpc.acquisition.audit_history import AuditKind
from rlavr_hpc.acquisition.ledger import Ledger, as_label
from rlavr_hpc.acquisition.ledger_state import BudgetRules
from rlavr_hpc.acquisition.market import InstantLabels, LabelMarket
from rlavr_hpc.errors import LedgerError
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
    capped_by_money: bool = False
    """Whether the quota depends on what orders in flight may cost: then it is on record, too."""


def find_candidates(
    groups: Sequence[Group],
    *,
    step_key: StepKey,
    ledger: Ledger,
    rules: BudgetRules,
    quota: int,
    market: LabelMarket,
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
        market: where labels are bought; what came of earlier orders is put on record first.
        buyable: prompts that may be candidates at all; None = all.
    """
    market.see_earlier(step_key, ledger)
    past, late = ledger.state.before(step_key), ledger.state.seen_late(step_key)
    ids = [group.prompt.id for group in groups]
    audited = ledger.state.audits.labels(AuditKind.used, until=_before(step_key))
    remembered = {**past.labels, **audited, **late} if rules.reuse else late
    known = {prompt: remembered[prompt] for prompt in ids if prompt in remembered}
    owned = {
        prompt: label
        for prompt, purchase in known.items()
        if (label := as_label(prompt, purchase, reused=True))
    }
    void = past.void | {prompt for prompt, purchase in late.items() if purchase.answer is None}
    candidates = tuple(
        g
        for g in groups
        if g.prompt.id not in owned
        and g.prompt.id not in void
        and (g.prompt.id not in past.pending or g.prompt.id in late)
        and (buyable is None or g.prompt.id in buyable)
    )
    remaining = ledger.state.left_of(rules, step_key)
    left = quota if remaining is None else min(quota, remaining)
    if rules.cost is not None:
        left = min(left, _affordable(candidates, step_key, ledger, rules.cost, market))
    return Candidates(
        candidates=candidates,
        quota=max(0, left),
        owned=owned,
        capped_by_money=rules.cost is not None,
    )


def _affordable(
    candidates: Sequence[Group],
    step_key: StepKey,
    ledger: Ledger,
    cap: float,
    market: LabelMarket,
) -> int:
    """How many labels the money allows; what a step was allowed before, it is allowed again."""
    key = (step_key.branch, step_key.step)
    if (allowed := ledger.state.allowed.get(key)) is not None:
        return allowed
    price = market.quote(candidates)
    return int((cap - ledger.state.committed) / price + 1e-9) if price else len(candidates)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bought:
    """What a step has after its purchase."""

    labels: dict[str, Label]
    """By prompt id, every label that this step may be trained on."""
    pending: tuple[str, ...] = ()
    """Prompts that were asked about, and nobody has answered yet."""
    wrong: Mapping[str, str] = field(default_factory=dict)
    """Prompt id -> answer that is known to be wrong, where no label is known."""


def buy_labels(
    selection: Selection,
    *,
    offer: Candidates,
    step_key: StepKey,
    ledger: Ledger,
    market: LabelMarket,
) -> Bought:
    """Buy what the policy chose; called again while labels are pending.

    Order: the decision goes to disk, then the market is asked, then what it gives goes to disk,
    then it is returned. A step that was decided in an earlier attempt keeps that decision, and
    labels on disk are not asked for again.

    Raises:
        LedgerError: the record cannot be written, or the policy chose what was not on offer; no
            label of this step was used.
    """
    on_offer = {group.prompt.id: group for group in offer.candidates}
    if unknown := set(selection.selected) - on_offer.keys():
        raise LedgerError(f"the policy chose {sorted(unknown)[0]!r}, which is not on offer")
    decided = ledger.decide(
        step_key, selection.selected, quota=offer.quota, always=offer.capped_by_money
    )
    if missing := [p for p in decided if ledger.outcome(step_key, p) is None]:
        market.buy(step_key, [on_offer[prompt] for prompt in missing], ledger)
    outcomes = {prompt: ledger.outcome(step_key, prompt) for prompt in decided}
    labels = dict(offer.owned)
    for prompt, purchase in outcomes.items():
        if purchase is not None and (label := as_label(prompt, purchase)):
            labels[prompt] = label
    return Bought(
        labels=labels,
        pending=tuple(prompt for prompt, purchase in outcomes.items() if purchase is None),
        wrong={p: one.wrong for p, one in outcomes.items() if one is not None and one.wrong},
    )


def buy_audits(
    wanted: Sequence[str],
    use: AuditKind,
    *,
    step_key: StepKey,
    ledger: Ledger,
    labels: InstantLabels,
    known: Mapping[str, str],
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Buy labels that votes are compared with; on disk before they are returned.

    Args:
        wanted: prompts, with repeats; a step whose audits are on record keeps those.
        use: whether the labels will also be trained on.
        step_key: the step.
        ledger: where it is recorded.
        labels: answers that are there already.
        known: prompt id -> label that an audit may look at without paying.

    Returns:
        The prompts audited, and the label of each; those without one are left out.

    Raises:
        LedgerError: the record cannot be written; no label was used.
    """
    key = ((step_key.branch, step_key.step), use)
    history = ledger.state.audits
    if key not in history.drawn and wanted:
        row = {"kind": "audit", "prompts": list(wanted), "use": str(use)}
        ledger.record(step_key, [row])
    drawn = history.drawn.get(key, ())
    paid = history.bought.get(key, {})
    missing = [prompt for prompt in dict.fromkeys(drawn) if prompt not in {**known, **paid}]
    answers = labels.reveal(missing)
    rows = [
        {"kind": "audited", "prompt": prompt, "label": answers[prompt], "use": str(use)}
        | {"cost": labels.cost}
        for prompt in missing
        if prompt in answers
    ]
    ledger.record(step_key, rows)
    bought = {p: one.answer for p, one in history.bought.get(key, {}).items() if one.answer}
    found = {**known, **bought}
    audited = tuple(prompt for prompt in drawn if prompt in found)
    return audited, {prompt: found[prompt] for prompt in audited}


def _before(step_key: StepKey) -> tuple[int, int]:
    return (step_key.branch, step_key.step - 1)
