"""A step's purchase: the offer, the choice, the labels, and what the policy learns of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rlavr_hpc.acquisition.buy import buy_labels, find_candidates
from rlavr_hpc.acquisition.policy import LearningPolicy
from rlavr_hpc.answers.verifier import Grade
from rlavr_hpc.telemetry.clock import StepClock
from rlavr_hpc.telemetry.step_metrics import StepSpend
from rlavr_hpc.trainer.components import Components
from rlavr_hpc.trainer.scoring import ScoringResult
from rlavr_hpc.types import Group, Label, LabelledGroup, Selection, StepKey, View

TRAIN = "train"
"""Stage of the graders' record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acquired:
    """What rank 0 tells the others after buying."""

    labels: dict[str, Label]
    """By prompt id, remembered ones included."""
    selection: Selection
    spend: StepSpend

    @property
    def answers(self) -> dict[str, str]:
        """What rollouts are compared with: labels, and the policy's pseudo-labels elsewhere."""
        return {**self.selection.pseudo, **{p: label.answer for p, label in self.labels.items()}}

    def lessons(self, groups: Sequence[Group], grades: Mapping[str, Grade]) -> list[LabelledGroup]:
        """What the labels that this step paid for say."""
        paid = [g for g in groups if (x := self.labels.get(g.prompt.id)) and not x.reused]
        return [LabelledGroup(group=g, correct=grades[g.prompt.id].correct) for g in paid]


def acquire(
    components: Components,
    groups: Sequence[Group],
    drawn: Sequence[Group],
    scored: ScoringResult,
    step_key: StepKey,
    quota: int,
    clock: StepClock,
) -> Acquired:
    """Offer, choose, buy; on rank 0 only.

    `drawn`: the groups and those that were passed over for them, by votes that must be settled too.
    """
    assert components.ledger is not None
    with clock.phase("buy"):
        components.verifier.record_timeouts(drawn, step_key=step_key, stage=TRAIN)
        offer = find_candidates(
            groups, step_key=step_key, ledger=components.ledger, rules=components.rules, quota=quota
        )
        oracle = (
            components.oracle(offer.candidates, step_key) if components.oracle is not None else {}
        )
    with clock.phase("select"):
        view = policy_view(components, scored, step_key, quota=offer.quota, oracle=oracle)
        selection = components.acquisition.choose(offer.candidates, view)
    with clock.phase("buy"):
        labels = buy_labels(
            selection,
            offer=offer,
            step_key=step_key,
            ledger=components.ledger,
            source=components.labels,
        )
    return Acquired(
        labels=labels, selection=selection, spend=spend_of(components, step_key, quota=offer.quota)
    )


def spend_of(components: Components, step_key: StepKey, *, quota: int) -> StepSpend:
    """What the ledger says of the step and of the run until now; on rank 0 only."""
    assert components.ledger is not None
    book = components.ledger.book
    here = book.purchases.get((step_key.branch, step_key.step), {})
    return StepSpend(
        quota=quota,
        void=sum(purchase.answer is None for purchase in here.values()),
        total=book.bought_until(step_key),
        asked=book.asked_until(step_key),
        cap=components.rules.total,
    )


def policy_view(
    components: Components,
    scored: ScoringResult,
    step_key: StepKey,
    *,
    quota: int,
    oracle: Mapping[str, Sequence[bool]],
) -> View:
    """What the acquisition policy may know."""
    return View(
        step_key=step_key,
        quota=quota,
        responses=scored.responses,
        hidden=scored.hidden,
        max_response_tokens=components.config.rollout.max_response_tokens,
        oracle=oracle,
    )


def update_probes(
    components: Components,
    lessons: Sequence[LabelledGroup],
    scored: ScoringResult,
    step_key: StepKey,
) -> Mapping[str, float]:
    """Let a policy that learns have the new labels; its losses. On rank 0 only."""
    if not isinstance(components.acquisition, LearningPolicy):
        return {}
    return components.acquisition.learn(
        lessons, policy_view(components, scored, step_key, quota=0, oracle={})
    )
