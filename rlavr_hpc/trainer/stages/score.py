"""Score: one forward pass over a step's responses, before any label is bought.

Everybody uses what it yields: the acquisition policy, the rewards, and the updates, which need the
log-probabilities from before the first of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from rlavr_hpc.trainer import distributed
from rlavr_hpc.trainer.components import Components
from rlavr_hpc.trainer.policy.protocol import Policy
from rlavr_hpc.trainer.policy.scoring_model import OldLogProbs, Scores, ScoringOutputs
from rlavr_hpc.trainer.stages.context import StepContext
from rlavr_hpc.trainer.stages.rollout import PromptRollouts, RolloutBatch
from rlavr_hpc.training_types import MiniBatch, Sample
from rlavr_hpc.types import HiddenStates, ResponseScore, ResponseScores


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringRequest:
    """What a run needs of the scoring forward; where it needs nothing, there is none."""

    scores: bool
    """One `ResponseScore` per response."""
    hidden: bool
    """Hidden states."""
    tokens: bool
    """Log-probabilities of every token, for updates after the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringResult:
    """What the forward pass gave, as far as it was requested."""

    responses: ResponseScores = field(default_factory=dict)
    """On every rank."""
    hidden: Mapping[str, HiddenStates] = field(default_factory=dict)
    """On rank 0 alone, which buys: they are too large to send to all."""
    old_logprobs: OldLogProbs = field(default_factory=dict)
    """On every rank, because an update distributes the samples differently."""


def score_rollouts(step: StepContext, rollouts: RolloutBatch) -> ScoringResult:
    """The policy's own view of every response of the step."""
    components = step.components
    with step.clock.phase("score"):
        return score_responses(
            components.policy, rollouts.prompts, request=scoring_request(components)
        )


def scoring_request(components: Components) -> ScoringRequest:
    """What the run's acquisition policy, reward and updates need."""
    plugins = (components.acquisition, components.pseudo)
    return ScoringRequest(
        scores=any(getattr(plugin, "needs_scores", False) for plugin in plugins),
        hidden=any(getattr(plugin, "needs_hidden", False) for plugin in plugins),
        tokens=components.config.updates_per_step > 1,
    )


def score_responses(
    policy: Policy, prompts: Sequence[PromptRollouts], *, request: ScoringRequest
) -> ScoringResult:
    """Score the responses; all ranks call this together."""
    if not (request.scores or request.hidden):
        return ScoringResult()
    everything = request.scores or request.tokens
    mine = policy.score(
        [sample for answered in prompts for sample in _samples(answered)],
        outputs=ScoringOutputs.everything if everything else ScoringOutputs.states,
    )
    return ScoringResult(
        responses=_response_scores(mine, prompts) if request.scores else {},
        hidden=_hidden_states(mine, prompts) if request.hidden else {},
        old_logprobs=_all_logprobs(mine) if request.tokens else {},
    )


def old_logprobs(
    policy: Policy, batches: Sequence[MiniBatch], known: OldLogProbs
) -> list[OldLogProbs | None]:
    """Per mini-batch, log-probabilities before the first update.

    None where there is a single update: the loss computes them itself.
    """
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


def _response_scores(mine: Scores, prompts: Sequence[PromptRollouts]) -> ResponseScores:
    """Of all prompts, on every rank."""
    everyone = distributed.gather_lists(list(zip(mine.keys, _summaries(mine), strict=True)))
    found = {key: score for part in everyone for key, score in part}
    return {p.id: [found[p.id, r.sample] for r in rollouts] for p, rollouts in prompts}


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


def _hidden_states(mine: Scores, prompts: Sequence[PromptRollouts]) -> dict[str, HiddenStates]:
    """Of all prompts, on rank 0; the prompt's own state comes from its first response's pass."""
    rows = zip(mine.keys, mine.prompt_ND.numpy(), mine.response_ND.numpy(), strict=True)
    share = [(key, prompt if key[1] == 0 else None, response) for key, prompt, response in rows]
    everyone = [row for part in distributed.gather_on_main(share) for row in part]
    prompt_states = {key[0]: prompt for key, prompt, _ in everyone if prompt is not None}
    responses = {key: response for key, _, response in everyone}
    return {
        prompt.id: HiddenStates(
            prompt_D=prompt_states[prompt.id],
            responses_GD=np.stack([responses[prompt.id, r.sample] for r in rollouts]),
        )
        for prompt, rollouts in (prompts if everyone else ())
    }


def _all_logprobs(mine: Scores) -> OldLogProbs:
    """Of every rank's share, on every rank: updates distribute the samples differently."""
    share = [(key, logp_T.numpy()) for key, logp_T in mine.old_logprobs().items()]
    parts = distributed.gather_lists(share)
    return {key: torch.from_numpy(logp_T) for part in parts for key, logp_T in part}
