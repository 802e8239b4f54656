"""Buy: the acquisition policy chooses among the candidates, and their labels are bought.

Rank 0 alone has the ledger: it chooses and buys, and tells the other ranks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from rlavr_hpc.acquisition.buy import Candidates, buy_labels, find_candidates
from rlavr_hpc.config.labels import Ask
from rlavr_hpc.telemetry.step_metrics import StepSpend
from rlavr_hpc.trainer import distributed
from rlavr_hpc.trainer.stages.context import TRAIN, StepContext
from rlavr_hpc.trainer.stages.score import ScoringResult
from rlavr_hpc.trainer.stages.wait_for_labels import wait_for_labels
from rlavr_hpc.types import Group, Label, Selection, View


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPurchase:
    """A step's labels, and the choice behind them."""

    labels: dict[str, Label]
    """By prompt id; labels bought in earlier steps and reused are included."""
    selection: Selection
    spend: StepSpend
    pending: tuple[str, ...] = ()
    """Prompts that were asked about, and nobody has answered yet."""
    late: Mapping[str, str] = field(default_factory=dict)
    """Prompt id -> label that became visible in this step, of an order of an earlier one."""
    wrong: Mapping[str, str] = field(default_factory=dict)
    """Prompt id -> vote that is known to be wrong, where no label is known."""
    late_wrong: Mapping[str, str] = field(default_factory=dict)
    """The same of orders of earlier steps: a vote of that step, become visible in this one."""

    @property
    def answers(self) -> dict[str, str]:
        """Prompt id -> answer to grade by: the label, else the policy's own pseudo-label."""
        return {**self.selection.pseudo, **{p: label.answer for p, label in self.labels.items()}}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    """What the policy chose, and from what."""

    offer: Candidates
    selection: Selection


def acquire_labels(
    step: StepContext, groups: Sequence[Group], scores: ScoringResult, *, drawn: Sequence[Group]
) -> StepPurchase:
    """Choose, and buy through the ledger; wait for labels that are pending.

    Args:
        step: the step.
        groups: those that the step trains on: the candidates are among them.
        scores: what the policy may use to choose.
        drawn: all groups, also those left out by dynamic sampling: their votes decided that, so
            their timeouts are recorded too.

    Raises:
        LedgerError: on all ranks; no label of the step was used.
        LabelsPendingError: on all ranks: the run ends here until the labels are there.
        OutOfTimeError: on all ranks, when a stop signal comes while the step waits.
    """
    choice = distributed.on_main_only(partial(_choose, step, groups, scores, drawn))
    buy = partial(_buy, step, choice)
    purchase = distributed.on_main(buy)
    return wait_for_labels(step, purchase, buy) if purchase.pending else purchase


def _choose(
    step: StepContext, groups: Sequence[Group], scores: ScoringResult, drawn: Sequence[Group]
) -> _Choice:
    components, ledger = step.components, step.components.ledger
    assert ledger is not None
    assert components.market is not None
    with step.clock.phase("buy"):
        components.verifier.record_timeouts(drawn, step_key=step.key, stage=TRAIN)
        offer = find_candidates(
            groups,
            step_key=step.key,
            ledger=ledger,
            rules=components.rules,
            quota=step.quota,
            market=components.market,
            buyable=components.buyable,
        )
        oracle = {} if components.oracle is None else components.oracle(offer.candidates, step.key)
    with step.clock.phase("select"):
        view = policy_view(step, scores, quota=offer.quota, oracle=oracle)
        selection = components.acquisition.choose(offer.candidates, view)
    return _Choice(offer=offer, selection=selection)


def _buy(step: StepContext, choice: _Choice | None) -> StepPurchase:
    """Buy what was chosen, as far as it is answered; on rank 0."""
    ledger, market = step.components.ledger, step.components.market
    assert ledger is not None
    assert market is not None
    assert choice is not None
    with step.clock.phase("buy"):
        bought = buy_labels(
            choice.selection, offer=choice.offer, step_key=step.key, ledger=ledger, market=market
        )
    late = ledger.state.seen_late(step.key)
    return StepPurchase(
        labels=bought.labels,
        selection=choice.selection,
        spend=_spend_of(step, quota=choice.offer.quota),
        pending=bought.pending,
        late={p: one.answer for p, one in late.items() if one.answer is not None},
        wrong=bought.wrong,
        late_wrong={p: one.wrong for p, one in late.items() if one.wrong is not None},
    )


def _spend_of(step: StepContext, *, quota: int) -> StepSpend:
    """What the ledger says of the step, and of the run until now."""
    ledger, labels = step.components.ledger, step.components.config.labels
    assert ledger is not None
    asks_verdicts = labels.live and labels.ask is Ask.verdict
    seen = ledger.state.purchases.get((step.key.branch, step.key.step), {})
    return StepSpend(
        quota=quota,
        bought=sum(purchase.answer is not None for purchase in seen.values()),
        cost=sum(purchase.cost for purchase in seen.values()),
        void=sum(purchase.answer is None for purchase in seen.values()),
        total=ledger.state.bought_until(step.key),
        asked=ledger.state.asked_until(step.key),
        cap=step.components.rules.total,
        pending=len(ledger.state.orders.unsettled) if labels.live else None,
        wrong=sum(one.wrong is not None for one in seen.values()) if asks_verdicts else None,
    )


def policy_view(
    step: StepContext,
    scores: ScoringResult,
    *,
    quota: int,
    oracle: Mapping[str, Sequence[bool]],
) -> View:
    """What the acquisition policy may know."""
    return View(
        step_key=step.key,
        quota=quota,
        responses=scores.responses,
        hidden=scores.hidden,
        max_response_tokens=step.components.config.rollout.max_response_tokens,
        oracle=oracle,
    )
