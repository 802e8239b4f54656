"""One RLAVR step: roll out, vote, buy, reward, update. Read `run_step` as the method's page.

The stages are called in the order of the method; ranks generate and grade their share, then every
rank holds all groups, rank 0 buys, and the optimizer's batches are dealt to all ranks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from rlavr_hpc.acquisition.buy import buy_labels, make_offer
from rlavr_hpc.answers.referee import Verdict
from rlavr_hpc.learning.batch import make_mini_batches
from rlavr_hpc.learning.rewards import assign_signals, trust_in_votes
from rlavr_hpc.rollout.engine import Sampling
from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.audit import vote_is_right
from rlavr_hpc.telemetry.clock import StepClock
from rlavr_hpc.telemetry.reduce import Mean, Metrics, mean_of, merge
from rlavr_hpc.telemetry.step_metrics import group_metrics, label_metrics, update_metrics
from rlavr_hpc.trainer import ranks
from rlavr_hpc.trainer.deepspeed_policy import DeepspeedPolicy
from rlavr_hpc.trainer.parts import Parts
from rlavr_hpc.trainer.response_scores import score_responses
from rlavr_hpc.trainer.scoring_model import Scores
from rlavr_hpc.trainer.weight_sync import sync_weights
from rlavr_hpc.types import Group, Label, MiniBatch, Place, Prompt, ResponseScores, View

TRAIN = "train"
"""Stage of the graders' record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What a step leaves for the record."""

    groups: list[Group]
    metrics: Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Bought:
    """What rank 0 tells the others after buying."""

    labels: dict[str, Label]
    """By prompt id, remembered ones included."""
    scores: dict[str, float]
    """The policy's, of the candidates it scored."""
    total: int
    """New labels of the run so far."""


def run_step(parts: Parts, place: Place) -> StepResult:
    """One step at `place`; every rank calls it and returns the same result."""
    config, clock = parts.config, StepClock()
    prompts = parts.stream.at(place)
    with clock.phase("sync"):
        sync_weights(parts.policy, parts.engine, bucket_mib=config.rollout.sync_bucket_mib)
    with clock.phase("generate"):
        share = share_of(prompts, parts)
        rollouts = parts.engine.sample(
            share, sampling=_training_sampling(parts), place=place, version=parts.policy.version
        )
        parts.engine.rest()
    with clock.phase("grade"):
        mine = parts.referee.vote(share, rollouts, place=place, stage=TRAIN)
        groups = gather_groups(mine, prompts, parts)
    with clock.phase("score"):
        responses = view_of_responses(parts, groups)
    with clock.phase("acquire"):
        bought = ranks.on_main(partial(acquire, parts, groups, responses, place))
    with clock.phase("grade"):
        answers = {prompt: label.answer for prompt, label in bought.labels.items()}
        verdicts = judge(parts, mine, answers, place=place, stage=TRAIN)
        signals = assign_signals(
            groups,
            by_label={prompt: verdict.rewards for prompt, verdict in verdicts.items()},
            by_vote={g.prompt.id: parts.referee.against_vote(g).rewards for g in groups},
            pseudo=parts.pseudo,
            responses=responses,
            trust=trust_in_votes(
                [prompt.id for prompt in prompts],
                unlabelled=str(config.unlabelled),
                scores=bought.scores,
                soft_adv=config.soft_adv,
            ),
        )
    batches = make_mini_batches(
        signals, mini_batch=config.algorithm.mini_batch, keep_all=parts.policy.moves_all
    )
    with clock.phase("score"):
        scores = old_scores(parts.policy, batches)
    with clock.phase("train"):
        updates = [
            parts.policy.update(batch, place_step=place.step, old=old)
            for batch, old in zip(batches, scores, strict=True)
        ]
    labels = bought.labels
    new = [g for g in groups if g.prompt.id in labels and not labels[g.prompt.id].reused]
    right = [vote_is_right(g, verdicts[g.prompt.id].correct) for g in new]
    metrics = merge(
        [
            group_metrics(groups, signals),
            label_metrics(labels, vote_right=right, total=bought.total),
            *(update_metrics(u.sums, grad_norm=u.grad_norm) for u in updates),
            {names.GRADE_LOST_BY_LABEL: mean_of(len(v.ungradable) for v in verdicts.values())},
            {names.TRAIN_TOKENS: Mean(sum(u.sums["tokens"] for u in updates))},
            clock.metrics(),
        ]
    )
    return StepResult(groups=groups, metrics=metrics)


def view_of_responses(parts: Parts, groups: Sequence[Group]) -> ResponseScores:
    """The policy's own view of the responses, where the run's policy or reward asks for it."""
    asked = (getattr(plugin, "needs_scores", False) for plugin in (parts.acquisition, parts.pseudo))
    return score_responses(parts.policy, groups) if any(asked) else {}


def acquire(
    parts: Parts, groups: Sequence[Group], responses: ResponseScores, place: Place
) -> Bought:
    """Offer, choose, buy; on rank 0 only."""
    assert parts.ledger is not None
    parts.referee.settle(groups, place=place, stage=TRAIN)
    offer = make_offer(
        groups, place=place, ledger=parts.ledger, rules=parts.rules, quota=parts.config.quota
    )
    oracle = parts.oracle(offer.candidates, place) if parts.oracle is not None else {}
    view = View(place=place, quota=offer.quota, oracle=oracle, responses=responses)
    choice = parts.acquisition.choose(offer.candidates, view)
    labels = buy_labels(choice, offer=offer, place=place, ledger=parts.ledger, source=parts.labels)
    total = parts.ledger.book.bought_until(place)
    return Bought(labels=labels, scores=dict(choice.scores), total=total)


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


def share_of(prompts: Sequence[Prompt], parts: Parts) -> list[Prompt]:
    """The prompts that this rank's replica generates for."""
    return list(prompts[parts.engine.replica :: parts.engine.replicas])


def gather_groups(mine: list[Group], prompts: Sequence[Prompt], parts: Parts) -> list[Group]:
    """All groups on every rank, in the batch's order."""
    everyone = ranks.gather_lists(mine if parts.engine.is_leader else [])
    by_prompt = {group.prompt.id: group for part in everyone for group in part}
    return [by_prompt[prompt.id] for prompt in prompts]


def old_scores(policy: DeepspeedPolicy, batches: Sequence[MiniBatch]) -> list[Scores | None]:
    """Log-probabilities before the first update; with one update the loss's own serve."""
    if len(batches) == 1:
        return [None]
    return [policy.score(batch.samples) for batch in batches]


def _training_sampling(parts: Parts) -> Sampling:
    return Sampling(
        samples=parts.config.algorithm.group_size,
        temperature=parts.config.rollout.temperature,
        max_tokens=parts.config.rollout.max_response_tokens,
    )
