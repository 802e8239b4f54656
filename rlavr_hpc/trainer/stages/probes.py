"""Train the acquisition policy's probes on the labels that became visible in the step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from rlavr_hpc.acquisition.policy_protocol import LearningPolicy
from rlavr_hpc.trainer import distributed
from rlavr_hpc.trainer.late_labels import StoredGroup
from rlavr_hpc.trainer.stages.buy import StepPurchase, policy_view
from rlavr_hpc.trainer.stages.context import StepContext
from rlavr_hpc.trainer.stages.grade import refuted_groups
from rlavr_hpc.trainer.stages.score import ScoringResult
from rlavr_hpc.types import Group, LabelledGroup, View

LATE = "late"
"""Stage of these grades in the record of timed-out answers."""


def update_probes(
    step: StepContext,
    groups: Sequence[Group],
    labelled: Sequence[LabelledGroup],
    scores: ScoringResult,
    *,
    purchase: StepPurchase,
) -> Mapping[str, float]:
    """Losses by name; empty for a policy that does not learn. Rank 0 trains.

    Args:
        step: the step.
        groups: those that the step trains on.
        labelled: those whose label, or the verdict that their vote is wrong, was bought in it.
        scores: what the policy makes of the groups.
        purchase: its pending groups are kept until their label comes.
    """
    with step.clock.phase("learn"):
        return distributed.on_main(partial(_update, step, groups, labelled, scores, purchase))


def _update(
    step: StepContext,
    groups: Sequence[Group],
    labelled: Sequence[LabelledGroup],
    scores: ScoringResult,
    purchase: StepPurchase,
) -> Mapping[str, float]:
    acquisition = step.components.acquisition
    if not isinstance(acquisition, LearningPolicy):
        return {}
    late = step.components.acquisition_state.late
    view = policy_view(step, scores, quota=0, oracle={})
    came, refuted = late.take(purchase.late), late.take(purchase.late_wrong)
    late.keep(
        StoredGroup(
            group=group,
            hidden=scores.hidden.get(group.prompt.id),
            scores=tuple(scores.responses.get(group.prompt.id, ())),
        )
        for group in groups
        if group.prompt.id in purchase.pending
    )
    news = [
        *labelled,
        *_graded(step, came, purchase.late),
        *refuted_groups([one.group for one in refuted], purchase.late_wrong),
    ]
    if not getattr(acquisition, "learns_verdicts", False):
        news = [one for one in news if not one.unknown]
    return acquisition.learn(news, _with_states(view, [*came, *refuted]))


def _graded(
    step: StepContext, came: Sequence[StoredGroup], labels: Mapping[str, str]
) -> list[LabelledGroup]:
    """The stored groups with their correct responses."""
    verifier, groups = step.components.verifier, [one.group for one in came]
    if not groups:
        return []
    grades = verifier.grade(groups, labels, step_key=step.key, stage=LATE)
    verifier.record_grade_timeouts(groups, grades, step_key=step.key, stage=LATE)
    return [LabelledGroup(group=group, correct=grades[group.prompt.id].correct) for group in groups]


def _with_states(view: View, came: Sequence[StoredGroup]) -> View:
    """The view with what the policy made of the stored groups when it generated them."""
    if not came:
        return view
    hidden = {one.group.prompt.id: one.hidden for one in came if one.hidden is not None}
    scores = {one.group.prompt.id: one.scores for one in came}
    return replace(view, hidden={**view.hidden, **hidden}, responses={**view.responses, **scores})
