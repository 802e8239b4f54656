"""One RLAVR step: roll out, vote, buy, reward, update. Read `run_step` as the method's page.

The stages are called in the order of the method; ranks generate and grade their share, then every
rank holds all groups, rank 0 buys, and the optimizer's batches are dealt to all ranks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from rlavr_hpc.answers.referee import Verdict
from rlavr_hpc.errors import GivenUpError
from rlavr_hpc.learning.batch import make_mini_batches
from rlavr_hpc.learning.draw import keep_split
from rlavr_hpc.learning.rewards import assign_signals, trust_in_votes
from rlavr_hpc.rollout.engine import Sampling
from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.clock import StepClock
from rlavr_hpc.telemetry.reduce import Mean, Metrics, merge
from rlavr_hpc.telemetry.response_metrics import group_metrics
from rlavr_hpc.trainer import ranks
from rlavr_hpc.trainer.measured import purchase_metrics, timing, training_metrics
from rlavr_hpc.trainer.memory import FreeMemory
from rlavr_hpc.trainer.parts import Parts
from rlavr_hpc.trainer.profile import phase_mark
from rlavr_hpc.trainer.purchase import TRAIN, acquire, teach
from rlavr_hpc.trainer.response_scores import Answered, Asked, Scored, old_logprobs, score_responses
from rlavr_hpc.trainer.self_verification import Verdicts
from rlavr_hpc.trainer.weight_sync import resting_after, sync_weights
from rlavr_hpc.types import Choice, Group, Label, OwnView, Place, Prompt, Rollout, Signal


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What a step leaves for the record."""

    groups: list[Group]
    """All that were drawn."""
    signals: list[Signal]
    """What they were trained on."""
    labels: Mapping[str, Label]
    """By prompt id, remembered ones included."""
    choice: Choice
    quota: int
    """New labels this step might have bought."""
    metrics: Metrics


def run_step(parts: Parts, place: Place, *, quota: int) -> StepResult:
    """One step at `place`; every rank calls it and returns the same result.

    Args:
        parts: what the run is made of.
        place: the step.
        quota: new labels it may buy.

    Raises:
        GivenUpError: on all ranks, when a stop signal leaves no time; the run is as it was before.
    """
    config, free = parts.config, FreeMemory()
    clock = StepClock(mark=phase_mark, after=free.note)
    prompts = parts.stream.at(place)
    with clock.phase("sync"):
        sync_weights(parts.policy, parts.engine, bucket_mib=config.rollout.sync_bucket_mib)
    with clock.phase("generate"), resting_after(parts.policy, parts.engine):
        share = share_of(prompts, parts)
        rollouts, judged = generate(parts, share, _training_sampling(parts), place, judge=True)
    voting = parts.referee.begin_vote(share, rollouts, place=place, stage=TRAIN)
    with clock.phase("score"):
        answered = gather_rollouts(share, rollouts, prompts, parts)
        scored = score_responses(parts.policy, answered, asked_of_scoring(parts))
    with clock.phase("grade"):
        mine = voting.result()
        drawn = gather_groups(mine, answered, parts)
        groups = keep_split(drawn, batch=config.algorithm.batch)
        judged = gather_judgements(judged, parts)
    ranks.give_up_together(parts.deadline.hopeless)  # nothing has changed up to here
    bought = ranks.on_main(partial(acquire, parts, groups, drawn, scored, place, quota, clock))
    with clock.phase("grade"):
        verdicts = judge(parts, mine, bought.answers, place=place, stage=TRAIN)
        signals = assign_signals(
            groups,
            by_label={prompt: verdicts[prompt].rewards for prompt in bought.labels},
            by_vote=pseudo_rewards(parts, groups, verdicts),
            pseudo=parts.pseudo,
            own=own_views(groups, scored, judged),
            trust=trust_in_votes(
                [prompt.id for prompt in prompts],
                unlabelled=str(config.unlabelled),
                choice=bought.choice,
                soft_adv=config.soft_adv,
            ),
        )
    lessons = bought.lessons(groups, verdicts)
    batches = make_mini_batches(
        signals, mini_batch=config.algorithm.mini_batch, keep_all=parts.policy.moves_all,
        shaping=parts.shaping,
    )  # fmt: skip
    with clock.phase("score"):
        old = old_logprobs(parts.policy, batches, scored.old)
    with clock.phase("train"):
        updates = [
            parts.policy.update(batch, place_step=place.step, old=before, hold=bought.choice.hold)
            for batch, before in zip(batches, old, strict=True)
        ]
    with clock.phase("learn"):
        losses = ranks.on_main(partial(teach, parts, lessons, scored, place))
    metrics = merge(
        [
            group_metrics(drawn, signals),
            purchase_metrics(bought, lessons, verdicts),
            {names.probe_name(probe): Mean(loss) for probe, loss in losses.items()},
            training_metrics(parts, groups, batches, updates),
            timing(parts, drawn, batches, clock),
            free.metrics(),
        ]
    )
    return StepResult(
        groups=drawn, signals=signals, labels=bought.labels, choice=bought.choice,
        quota=bought.spend.quota, metrics=metrics,
    )  # fmt: skip


def asked_of_scoring(parts: Parts) -> Asked:
    """What the run's policy and reward need to know of the responses."""

    def anyone(need: str) -> bool:
        return any(getattr(plugin, need, False) for plugin in (parts.acquisition, parts.pseudo))

    return Asked(
        scores=anyone("needs_scores"),
        hidden=anyone("needs_hidden"),
        tokens=parts.config.updates_per_step > 1,
    )


def judge(
    parts: Parts, mine: Sequence[Group], answers: Mapping[str, str], *, place: Place, stage: str
) -> dict[str, Verdict]:
    """Verdicts by true answers, by prompt id: each rank judges its own groups, all get all."""
    groups = mine if parts.engine.is_leader else []
    judged = parts.referee.judge(groups, answers, place=place, stage=stage)
    everyone = [pair for part in ranks.gather_lists([(groups, judged)]) for pair in part]

    def settle() -> None:
        for groups, verdicts in everyone:
            parts.referee.settle_verdicts(groups, verdicts, place=place, stage=stage)

    ranks.on_main(settle)
    return {prompt: verdict for _, verdicts in everyone for prompt, verdict in verdicts.items()}


def pseudo_rewards(
    parts: Parts, groups: Sequence[Group], verdicts: Mapping[str, Verdict]
) -> dict[str, tuple[float, ...]]:
    """Rewards by the policy's pseudo-label where it has one, else by the present vote."""
    return {
        g.prompt.id: tuple(
            verdicts[g.prompt.id].rewards
            if g.prompt.id in verdicts
            else parts.referee.against_vote(g).rewards
        )
        for g in groups
    }


def share_of(prompts: Sequence[Prompt], parts: Parts) -> list[Prompt]:
    """The prompts that this rank's replica generates for."""
    return list(prompts[parts.engine.replica :: parts.engine.replicas])


def gather_rollouts(
    share: Sequence[Prompt], mine: Sequence[Sequence[Rollout]], prompts: Sequence[Prompt],
    parts: Parts,
) -> list[Answered]:  # fmt: skip
    """All prompts with their rollouts on every rank, in the batch's order."""
    shown = zip((prompt.id for prompt in share), map(tuple, mine), strict=True)
    everyone = ranks.gather_lists(list(shown) if parts.engine.is_leader else [])
    by_prompt = {prompt: rollouts for part in everyone for prompt, rollouts in part}
    return [(prompt, by_prompt[prompt.id]) for prompt in prompts]


def gather_groups(mine: Sequence[Group], answered: Sequence[Answered], parts: Parts) -> list[Group]:
    """All groups on every rank: everybody's rollouts with the votes of the rank that counted."""
    votes = [(group.prompt.id, group.vote) for group in mine]
    everyone = ranks.gather_lists(votes if parts.engine.is_leader else [])
    by_prompt = {prompt: vote for part in everyone for prompt, vote in part}
    return [
        Group(prompt=prompt, rollouts=rollouts, vote=by_prompt[prompt.id])
        for prompt, rollouts in answered
    ]


def generate(
    parts: Parts, share: Sequence[Prompt], sampling: Sampling, place: Place, *, judge: bool = False
) -> tuple[list[list[Rollout]], Verdicts]:
    """This replica's responses, and what the policy thinks of them where the reward asks for it.

    Raises:
        GivenUpError: on all ranks, when one of them has no time left.
    """
    version, give_up = parts.policy.version, parts.deadline.hopeless
    rollouts: list[list[Rollout]] = []
    judged: Verdicts = {}
    with suppress(GivenUpError):  # raised below on every rank: once given up, always so
        rollouts = parts.engine.sample(
            share, sampling=sampling, place=place, version=version, give_up=give_up
        )
        if judge and parts.verifier is not None:
            judged = parts.verifier.judge(
                parts.engine, rollouts, place=place, version=version, give_up=give_up
            )
    ranks.give_up_together(give_up)
    return rollouts, judged


def gather_judgements(mine: Verdicts, parts: Parts) -> Verdicts:
    """Those of all replicas on every rank."""
    if parts.verifier is None:
        return {}
    everyone = ranks.gather_lists(list(mine.items()) if parts.engine.is_leader else [])
    return {prompt: said for part in everyone for prompt, said in part}


def own_views(groups: Sequence[Group], scored: Scored, judged: Verdicts) -> dict[str, OwnView]:
    """The policy's own view of every group, as far as it was asked."""
    return {
        g.prompt.id: OwnView(
            scores=scored.responses.get(g.prompt.id, ()), verdicts=judged.get(g.prompt.id, ())
        )
        for g in groups
    }


def _training_sampling(parts: Parts) -> Sampling:
    return Sampling(
        samples=parts.config.algorithm.group_size,
        temperature=parts.config.rollout.temperature,
        max_tokens=parts.config.rollout.max_response_tokens,
    )
