"""Buy: the acquisition policy chooses among the candidates, and their labels are bought.

Rank 0 alone has the ledger: it chooses and buys, and tells the other ranks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from rlavr_hpc.acquisition.buy import buy_labels, find_candidates
from rlavr_hpc.telemetry.step_metrics import StepSpend
from rlavr_hpc.trainer import distributed
from rlavr_hpc.trainer.stages.context import TRAIN, StepContext
from rlavr_hpc.trainer.stages.score import ScoringResult
from rlavr_hpc.types import Group, Label, Selection, View


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPurchase:
    """A step's labels, and the choice behind them."""

    labels: dict[str, Label]
    """By prompt id; labels bought in earlier steps and reused are included."""
    selection: Selection
    spend: StepSpend

    @property
    def answers(self) -> dict[str, str]:
        """Prompt id -> answer to grade by: the label, else the policy's own pseudo-label."""
        return {**self.selection.pseudo, **{p: label.answer for p, label in self.labels.items()}}


def acquire_labels(
    step: StepContext, groups: Sequence[Group], scores: ScoringResult, *, drawn: Sequence[Group]
) -> StepPurchase:
    """Choose, and buy through the ledger.

    Args:
        step: the step.
        groups: those that the step trains on: the candidates are among them.
        scores: what the policy may use to choose.
        drawn: all groups, also those left out by dynamic sampling: their votes decided that, so
            their timeouts are recorded too.

    Raises:
        LedgerError: on all ranks; no label of the step was used.
    """
    return distributed.on_main(partial(_acquire, step, groups, scores, drawn))


def _acquire(
    step: StepContext, groups: Sequence[Group], scores: ScoringResult, drawn: Sequence[Group]
) -> StepPurchase:
    components, ledger = step.components, step.components.ledger
    assert ledger is not None
    with step.clock.phase("buy"):
        components.verifier.record_timeouts(drawn, step_key=step.key, stage=TRAIN)
        offer = find_candidates(
            groups,
            step_key=step.key,
            ledger=ledger,
            rules=components.rules,
            quota=step.quota,
            buyable=components.buyable,
        )
        oracle = {} if components.oracle is None else components.oracle(offer.candidates, step.key)
    with step.clock.phase("select"):
        view = policy_view(step, scores, quota=offer.quota, oracle=oracle)
        selection = components.acquisition.choose(offer.candidates, view)
    with step.clock.phase("buy"):
        labels = buy_labels(
            selection, offer=offer, step_key=step.key, ledger=ledger, source=components.labels
        )
    return StepPurchase(
        labels=labels, selection=selection, spend=_spend_of(step, quota=offer.quota)
    )


def _spend_of(step: StepContext, *, quota: int) -> StepSpend:
    """What the ledger says of the step, and of the run until now."""
    ledger = step.components.ledger
    assert ledger is not None
    bought = ledger.state.purchases.get((step.key.branch, step.key.step), {})
    return StepSpend(
        quota=quota,
        void=sum(purchase.answer is None for purchase in bought.values()),
        total=ledger.state.bought_until(step.key),
        asked=ledger.state.asked_until(step.key),
        cap=step.components.rules.total,
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
