"""One RLAVR step: roll out, vote, buy, reward, update. Read `run_step` as the method's page.

The stages are called in the order of the method; ranks generate and grade their share, then every
rank holds all groups, rank 0 buys, and the optimizer's batches are dealt to all ranks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from rlavr_hpc.answers.verifier import Grade
from rlavr_hpc.errors import OutOfTimeError
from rlavr_hpc.learning.batch import make_mini_batches
from rlavr_hpc.learning.dynamic_sampling import filter_informative_groups
from rlavr_hpc.learning.rewards import assign_rewards, pseudo_label_weights
from rlavr_hpc.rollout.engine import Sampling
from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.clock import StepClock
from rlavr_hpc.telemetry.reduce import Mean, Metrics, merge
from rlavr_hpc.telemetry.response_metrics import group_metrics
from rlavr_hpc.trainer import distributed
from rlavr_hpc.trainer.acquire import TRAIN, acquire, update_probes
from rlavr_hpc.trainer.components import Components
from rlavr_hpc.trainer.policy.weight_sync import sleep_after, sync_weights
from rlavr_hpc.trainer.reporting.memory import FreeMemory
from rlavr_hpc.trainer.reporting.profile import phase_mark
from rlavr_hpc.trainer.reporting.update_metrics import purchase_metrics, timing, training_metrics
from rlavr_hpc.trainer.scoring import (
    PromptRollouts,
    ScoringRequest,
    ScoringResult,
    old_logprobs,
    score_responses,
)
from rlavr_hpc.trainer.self_verification import Verdicts
from rlavr_hpc.types import (
    Group,
    Label,
    Prompt,
    Rollout,
    Selection,
    SelfRewardInputs,
    StepKey,
    TrainingGroup,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What a step leaves for the record."""

    groups: list[Group]
    """All that were drawn."""
    signals: list[TrainingGroup]
    """What they were trained on."""
    labels: Mapping[str, Label]
    """By prompt id, remembered ones included."""
    selection: Selection
    quota: int
    """New labels this step might have bought."""
    metrics: Metrics


def run_step(components: Components, step_key: StepKey, *, quota: int) -> StepResult:
    """One step at `step_key`; every rank calls it and returns the same result.

    Args:
        components: what the run is made of.
        step_key: the step.
        quota: new labels it may buy.

    Raises:
        GivenUpError: on all ranks, when a stop signal leaves no time; the run is as it was before.
    """
    config, free = components.config, FreeMemory()
    clock = StepClock(mark=phase_mark, after=free.note)
    prompts = components.stream.at(step_key)
    with clock.phase("sync"):
        sync_weights(
            components.policy, components.engine, bucket_mib=config.rollout.sync_bucket_mib
        )
    with clock.phase("generate"), sleep_after(components.policy, components.engine):
        share = share_of(prompts, components)
        rollouts, judged = generate(
            components, share, _training_sampling(components), step_key, judge=True
        )
    voting = components.verifier.begin_vote(share, rollouts, step_key=step_key, stage=TRAIN)
    with clock.phase("score"):
        answered = gather_rollouts(share, rollouts, prompts, components)
        scored = score_responses(components.policy, answered, asked_of_scoring(components))
    with clock.phase("grade"):
        mine = voting.result()
        drawn = gather_groups(mine, answered, components)
        groups = filter_informative_groups(drawn, batch=config.algorithm.batch)
        judged = gather_judgements(judged, components)
    distributed.abort_together(components.deadline.out_of_time)  # nothing has changed up to here
    bought = distributed.on_main(
        partial(acquire, components, groups, drawn, scored, step_key, quota, clock)
    )
    with clock.phase("grade"):
        grades = grade(components, mine, bought.answers, step_key=step_key, stage=TRAIN)
        signals = assign_rewards(
            groups,
            by_label={prompt: grades[prompt].rewards for prompt in bought.labels},
            by_vote=pseudo_rewards(components, groups, grades),
            pseudo=components.pseudo,
            own=own_views(groups, scored, judged),
            trust=pseudo_label_weights(
                [prompt.id for prompt in prompts],
                unlabelled=str(config.unlabelled),
                selection=bought.selection,
                soft_adv=config.soft_adv,
            ),
        )
    lessons = bought.lessons(groups, grades)
    batches = make_mini_batches(
        signals,
        mini_batch=config.algorithm.mini_batch,
        keep_all=components.policy.trains_zero_advantage,
        shaping=components.shaping,
    )
    with clock.phase("score"):
        old = old_logprobs(components.policy, batches, scored.old)
    with clock.phase("train"):
        updates = [
            components.policy.update(
                batch, step=step_key.step, old=before, skip_update=bought.selection.skip_update
            )
            for batch, before in zip(batches, old, strict=True)
        ]
    with clock.phase("learn"):
        losses = distributed.on_main(partial(update_probes, components, lessons, scored, step_key))
    metrics = merge(
        [
            group_metrics(drawn, signals),
            purchase_metrics(bought, lessons, grades),
            {names.probe_name(probe): Mean(loss) for probe, loss in losses.items()},
            training_metrics(components, groups, batches, updates),
            timing(components, drawn, batches, clock),
            free.metrics(),
        ]
    )
    return StepResult(
        groups=drawn,
        signals=signals,
        labels=bought.labels,
        selection=bought.selection,
        quota=bought.spend.quota,
        metrics=metrics,
    )


def asked_of_scoring(components: Components) -> ScoringRequest:
    """What the run's policy and reward need to know of the responses."""

    def anyone(need: str) -> bool:
        return any(
            getattr(plugin, need, False) for plugin in (components.acquisition, components.pseudo)
        )

    return ScoringRequest(
        scores=anyone("needs_scores"),
        hidden=anyone("needs_hidden"),
        tokens=components.config.updates_per_step > 1,
    )


def grade(
    components: Components,
    mine: Sequence[Group],
    answers: Mapping[str, str],
    *,
    step_key: StepKey,
    stage: str,
) -> dict[str, Grade]:
    """Verdicts by true answers, by prompt id: each rank judges its own groups, all get all."""
    groups = mine if components.engine.is_leader else []
    judged = components.verifier.grade(groups, answers, step_key=step_key, stage=stage)
    everyone = [pair for part in distributed.gather_lists([(groups, judged)]) for pair in part]

    def record_timeouts() -> None:
        for groups, grades in everyone:
            components.verifier.record_grade_timeouts(
                groups, grades, step_key=step_key, stage=stage
            )

    distributed.on_main(record_timeouts)
    return {prompt: grade for _, grades in everyone for prompt, grade in grades.items()}


def pseudo_rewards(
    components: Components, groups: Sequence[Group], grades: Mapping[str, Grade]
) -> dict[str, tuple[float, ...]]:
    """Rewards by the policy's pseudo-label where it has one, else by the present vote."""
    return {
        g.prompt.id: tuple(
            grades[g.prompt.id].rewards
            if g.prompt.id in grades
            else components.verifier.against_vote(g).rewards
        )
        for g in groups
    }


def share_of(prompts: Sequence[Prompt], components: Components) -> list[Prompt]:
    """The prompts that this rank's replica generates for."""
    return list(prompts[components.engine.replica :: components.engine.replicas])


def gather_rollouts(
    share: Sequence[Prompt],
    mine: Sequence[Sequence[Rollout]],
    prompts: Sequence[Prompt],
    components: Components,
) -> list[PromptRollouts]:
    """All prompts with their rollouts on every rank, in the batch's order."""
    shown = zip((prompt.id for prompt in share), map(tuple, mine), strict=True)
    everyone = distributed.gather_lists(list(shown) if components.engine.is_leader else [])
    by_prompt = {prompt: rollouts for part in everyone for prompt, rollouts in part}
    return [(prompt, by_prompt[prompt.id]) for prompt in prompts]


def gather_groups(
    mine: Sequence[Group], answered: Sequence[PromptRollouts], components: Components
) -> list[Group]:
    """All groups on every rank: everybody's rollouts with the votes of the rank that counted."""
    votes = [(group.prompt.id, group.vote) for group in mine]
    everyone = distributed.gather_lists(votes if components.engine.is_leader else [])
    by_prompt = {prompt: vote for part in everyone for prompt, vote in part}
    return [
        Group(prompt=prompt, rollouts=rollouts, vote=by_prompt[prompt.id])
        for prompt, rollouts in answered
    ]


def generate(
    components: Components,
    share: Sequence[Prompt],
    sampling: Sampling,
    step_key: StepKey,
    *,
    judge: bool = False,
) -> tuple[list[list[Rollout]], Verdicts]:
    """This replica's responses, and what the policy thinks of them where the reward asks for it.

    Raises:
        GivenUpError: on all ranks, when one of them has no time left.
    """
    version, should_abort = components.policy.version, components.deadline.out_of_time
    rollouts: list[list[Rollout]] = []
    judged: Verdicts = {}
    with suppress(OutOfTimeError):  # raised below on every rank: once given up, always so
        rollouts = components.engine.sample(
            share, sampling=sampling, step_key=step_key, version=version, should_abort=should_abort
        )
        if judge and components.self_verifier is not None:
            judged = components.self_verifier.judge(
                components.engine,
                rollouts,
                step_key=step_key,
                version=version,
                should_abort=should_abort,
            )
    distributed.abort_together(should_abort)
    return rollouts, judged


def gather_judgements(mine: Verdicts, components: Components) -> Verdicts:
    """Those of all replicas on every rank."""
    if components.self_verifier is None:
        return {}
    everyone = distributed.gather_lists(list(mine.items()) if components.engine.is_leader else [])
    return {prompt: said for part in everyone for prompt, said in part}


def own_views(
    groups: Sequence[Group], scored: ScoringResult, judged: Verdicts
) -> dict[str, SelfRewardInputs]:
    """The policy's own view of every group, as far as it was asked."""
    return {
        g.prompt.id: SelfRewardInputs(
            scores=scored.responses.get(g.prompt.id, ()), verdicts=judged.get(g.prompt.id, ())
        )
        for g in groups
    }


def _training_sampling(components: Components) -> Sampling:
    return Sampling(
        samples=components.config.algorithm.group_size,
        temperature=components.config.rollout.temperature,
        max_tokens=components.config.rollout.max_response_tokens,
    )
