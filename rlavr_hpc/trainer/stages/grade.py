"""Grade: compare the responses with true answers; each replica grades its share of the groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from rlavr_hpc.answers.verifier import Grade
from rlavr_hpc.trainer import distributed
from rlavr_hpc.trainer.components import Components
from rlavr_hpc.trainer.stages.buy import StepPurchase
from rlavr_hpc.trainer.stages.context import TRAIN, StepContext
from rlavr_hpc.types import Group, LabelledGroup, StepKey


def grade_groups(
    step: StepContext, drawn: Sequence[Group], purchase: StepPurchase
) -> dict[str, Grade]:
    """Grades by label, and by the acquisition policy's own pseudo-label where it gives one.

    Args:
        step: the step.
        drawn: all groups of the step.
        purchase: its labels.

    Returns:
        Prompt id -> grade, for prompts with a label or a pseudo-label.
    """
    with step.clock.phase("grade"):
        return grade_share(step.components, drawn, purchase.answers, step_key=step.key, stage=TRAIN)


def grade_share(
    components: Components,
    groups: Sequence[Group],
    answers: Mapping[str, str],
    *,
    step_key: StepKey,
    stage: str,
) -> dict[str, Grade]:
    """Grades by true answers, of all ranks' shares, by prompt id; timeouts are on disk on return.

    Args:
        components: of the run.
        groups: of all ranks; this rank grades its share.
        answers: prompt id -> true answer; other prompts are left out.
        step_key: the step.
        stage: in the record of timed-out answers.
    """
    engine, verifier = components.engine, components.verifier
    share = groups[engine.replica :: engine.replicas] if engine.is_leader else []
    mine = verifier.grade(share, answers, step_key=step_key, stage=stage)
    grades = {
        prompt: grade
        for part in distributed.gather_lists(list(mine.items()))
        for prompt, grade in part
    }
    distributed.on_main(
        partial(verifier.record_grade_timeouts, groups, grades, step_key=step_key, stage=stage)
    )
    return grades


def newly_labelled(
    groups: Sequence[Group], purchase: StepPurchase, grades: Mapping[str, Grade]
) -> list[LabelledGroup]:
    """The groups whose label was paid for in this step, with their correct responses.

    Behind them those of which a verdict says that their vote is wrong.
    """
    paid = {prompt for prompt, label in purchase.labels.items() if not label.reused}
    return [
        *(
            LabelledGroup(group=group, correct=grades[group.prompt.id].correct)
            for group in groups
            if group.prompt.id in paid
        ),
        *refuted_groups(groups, purchase.wrong),
    ]


def refuted_groups(groups: Sequence[Group], wrong: Mapping[str, str]) -> list[LabelledGroup]:
    """What it says of groups that their vote is wrong: nothing of the other clusters.

    A response without an answer is wrong, whatever the label.

    Args:
        groups: with their votes.
        wrong: prompt id -> vote that is known to be wrong. A group that votes otherwise, as when a
            step that is done again has sampled other responses, is left out.
    """
    return [
        LabelledGroup(
            group=group,
            correct=(False,) * len(group.rollouts),
            unknown=tuple(i for cluster in group.vote.clusters[1:] for i in cluster),
        )
        for group in groups
        if group.prompt.id in wrong
        and group.vote.clusters
        and group.vote.cluster_of(wrong[group.prompt.id]) == group.vote.clusters[0]
    ]
