"""One scoring forward over a step's responses, before any label is bought.

What it yields serves everybody: the acquisition policy, the rewards, and the updates as the
log-probabilities before the first of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from rlavr_hpc.trainer import distributed
from rlavr_hpc.trainer.policy.deepspeed_policy import DeepspeedPolicy
from rlavr_hpc.trainer.policy.scoring_model import OldLogProbs, Scores, ScoringOutputs
from rlavr_hpc.types import (
    HiddenStates,
    MiniBatch,
    Prompt,
    ResponseScore,
    ResponseScores,
    Rollout,
    Sample,
)

PromptRollouts = tuple[Prompt, tuple[Rollout, ...]]
"""A prompt with its rollouts, whether or not they have been voted on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringRequest:
    """What a run needs of the scoring forward; nothing of it means no forward."""

    scores: bool
    hidden: bool
    tokens: bool
    """Log-probabilities of every token, for updates after the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringResult:
    """What the forward gave, as far as it was asked for."""

    responses: ResponseScores = field(default_factory=dict)
    """On every rank."""
    hidden: Mapping[str, HiddenStates] = field(default_factory=dict)
    """On rank 0, which buys."""
    old: OldLogProbs = field(default_factory=dict)
    """On every rank: an update deals its samples differently."""


def score_responses(
    policy: DeepspeedPolicy, groups: Sequence[PromptRollouts], asked: ScoringRequest
) -> ScoringResult:
    """The policy's own view of every response; all ranks call this together."""
    if not (asked.scores or asked.hidden):
        return ScoringResult()
    mine = policy.score(
        [sample for group in groups for sample in _samples(group)],
        wanted=ScoringOutputs.everything if asked.scores or asked.tokens else ScoringOutputs.states,
    )
    return ScoringResult(
        responses=_response_scores(mine, groups) if asked.scores else {},
        hidden=_hidden_states(mine, groups) if asked.hidden else {},
        old=_all_logprobs(mine) if asked.tokens else {},
    )


def old_logprobs(
    policy: DeepspeedPolicy, batches: Sequence[MiniBatch], known: OldLogProbs
) -> list[OldLogProbs | None]:
    """Log-probabilities before the first update; with one update the loss's own serve."""
    if len(batches) == 1:
        return [None]
    return [known or policy.score(batch.samples).old_logprobs() for batch in batches]


def _samples(answered: PromptRollouts) -> list[Sample]:
    prompt, rollouts = answered
    return [
        Sample(
            key=(prompt.id, rollout.sample),
            prompt_ids=prompt.token_ids,
            response_ids=rollout.token_ids,
            sampler_logprobs=rollout.logprobs,
            advantage=0.0,
        )
        for rollout in rollouts
    ]


def _response_scores(mine: Scores, groups: Sequence[PromptRollouts]) -> ResponseScores:
    """Of all groups on every rank."""
    everyone = distributed.gather_lists(list(zip(mine.keys, _summaries(mine), strict=True)))
    found = {key: score for part in everyone for key, score in part}
    return {p.id: [found[p.id, r.sample] for r in rollouts] for p, rollouts in groups}


def _summaries(scores: Scores) -> list[ResponseScore]:
    """Per response, sums and means in double precision."""
    lengths_N = np.asarray(scores.lengths)
    starts_N = np.concatenate([[0], np.cumsum(lengths_N)[:-1]])
    logp_R = scores.logp_R.double().numpy()
    columns = (logp_R, np.exp(logp_R), scores.entropy_R.numpy(), scores.certainty_R.numpy())
    sums = [np.add.reduceat(column.astype(np.float64), starts_N) for column in columns]
    return [
        ResponseScore(
            logp_sum=float(logp),
            logp_mean=float(logp / length),
            prob_mean=float(prob / length),
            entropy_mean=float(entropy / length),
            certainty_mean=float(certainty / length),
        )
        for logp, prob, entropy, certainty, length in zip(*sums, lengths_N, strict=True)
    ]


def _hidden_states(mine: Scores, groups: Sequence[PromptRollouts]) -> dict[str, HiddenStates]:
    """Of all groups on rank 0; the prompt's state is taken from its first response's pass."""
    rows = zip(mine.keys, mine.prompt_ND.numpy(), mine.response_ND.numpy(), strict=True)
    share = [(key, prompt if key[1] == 0 else None, response) for key, prompt, response in rows]
    everyone = [row for part in distributed.gather_on_main(share) for row in part]
    prompts = {key[0]: prompt for key, prompt, _ in everyone if prompt is not None}
    responses = {key: response for key, _, response in everyone}
    return {
        prompt.id: HiddenStates(
            prompt_D=prompts[prompt.id],
            responses_GD=np.stack([responses[prompt.id, r.sample] for r in rollouts]),
        )
        for prompt, rollouts in (groups if everyone else ())
    }


def _all_logprobs(mine: Scores) -> OldLogProbs:
    """Of every rank's share, on every rank: the updates deal the samples differently."""
    share = [(key, logp_T.numpy()) for key, logp_T in mine.old_logprobs().items()]
    parts = distributed.gather_lists(share)
    return {key: torch.from_numpy(logp_T) for part in parts for key, logp_T in part}
