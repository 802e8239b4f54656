"""A step's purchase: the offer, the choice, the labels, and what the policy learns of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rlavr_hpc.acquisition.buy import buy_labels, make_offer
from rlavr_hpc.acquisition.policy import LearningPolicy
from rlavr_hpc.answers.referee import Verdict
from rlavr_hpc.telemetry.clock import StepClock
from rlavr_hpc.telemetry.step_metrics import Spend
from rlavr_hpc.trainer.parts import Parts
from rlavr_hpc.trainer.response_scores import Scored
from rlavr_hpc.types import Choice, Group, Label, Lesson, Place, View

TRAIN = "train"
"""Stage of the graders' record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bought:
    """What rank 0 tells the others after buying."""

    labels: dict[str, Label]
    """By prompt id, remembered ones included."""
    choice: Choice
    spend: Spend

    @property
    def answers(self) -> dict[str, str]:
        """What rollouts are compared with: labels, and the policy's pseudo-labels elsewhere."""
        return {**self.choice.pseudo, **{p: label.answer for p, label in self.labels.items()}}

    def lessons(self, groups: Sequence[Group], verdicts: Mapping[str, Verdict]) -> list[Lesson]:
        """What the labels that this step paid for say."""
        paid = [g for g in groups if (x := self.labels.get(g.prompt.id)) and not x.reused]
        return [Lesson(group=g, correct=verdicts[g.prompt.id].correct) for g in paid]


def acquire(
    parts: Parts, groups: Sequence[Group], drawn: Sequence[Group], scored: Scored, place: Place,
    quota: int, clock: StepClock,
) -> Bought:  # fmt: skip
    """Offer, choose, buy; on rank 0 only.

    `drawn`: the groups and those that were passed over for them, by votes that must be settled too.
    """
    assert parts.ledger is not None
    with clock.phase("buy"):
        parts.referee.settle(drawn, place=place, stage=TRAIN)
        offer = make_offer(groups, place=place, ledger=parts.ledger, rules=parts.rules, quota=quota)
        oracle = parts.oracle(offer.candidates, place) if parts.oracle is not None else {}
    with clock.phase("select"):
        view = view_of(parts, scored, place, quota=offer.quota, oracle=oracle)
        choice = parts.acquisition.choose(offer.candidates, view)
    with clock.phase("buy"):
        labels = buy_labels(
            choice, offer=offer, place=place, ledger=parts.ledger, source=parts.labels
        )
    return Bought(labels=labels, choice=choice, spend=spend_of(parts, place, quota=offer.quota))


def spend_of(parts: Parts, place: Place, *, quota: int) -> Spend:
    """What the ledger says of the step and of the run until now; on rank 0 only."""
    assert parts.ledger is not None
    book = parts.ledger.book
    here = book.purchases.get((place.branch, place.step), {})
    return Spend(
        quota=quota,
        void=sum(purchase.answer is None for purchase in here.values()),
        total=book.bought_until(place),
        asked=book.asked_until(place),
        cap=parts.rules.total,
    )


def view_of(
    parts: Parts,
    scored: Scored,
    place: Place,
    *,
    quota: int,
    oracle: Mapping[str, Sequence[bool]],
) -> View:
    """What the acquisition policy may know."""
    return View(
        place=place,
        quota=quota,
        responses=scored.responses,
        hidden=scored.hidden,
        max_response_tokens=parts.config.rollout.max_response_tokens,
        oracle=oracle,
    )


def teach(
    parts: Parts, lessons: Sequence[Lesson], scored: Scored, place: Place
) -> Mapping[str, float]:
    """Let a policy that learns have the new labels; its losses. On rank 0 only."""
    if not isinstance(parts.acquisition, LearningPolicy):
        return {}
    return parts.acquisition.learn(lessons, view_of(parts, scored, place, quota=0, oracle={}))
