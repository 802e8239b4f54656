"""One scoring forward over a step's responses, before any label is bought."""

from __future__ import annotations

from collections.abc import Sequence

from rlavr_hpc.trainer import ranks
from rlavr_hpc.trainer.deepspeed_policy import DeepspeedPolicy
from rlavr_hpc.trainer.scoring_model import TokenScores
from rlavr_hpc.types import Group, ResponseScore, ResponseScores, Sample


def score_responses(policy: DeepspeedPolicy, groups: Sequence[Group]) -> ResponseScores:
    """The policy's own view of every response, on all ranks; all ranks call this together."""
    samples = [
        Sample(
            prompt_ids=group.prompt.token_ids, response_ids=rollout.token_ids,
            sampler_logprobs=rollout.logprobs, advantage=0.0,
        )
        for group in groups
        for rollout in group.rollouts
    ]  # fmt: skip
    mine = policy.score(samples)
    found = [(i, _summary(mine[id(s)])) for i, s in enumerate(samples) if id(s) in mine]
    by_index = {i: score for part in ranks.gather_lists(found) for i, score in part}
    in_order = iter(by_index[i] for i in range(len(samples)))
    return {group.prompt.id: [next(in_order) for _ in group.rollouts] for group in groups}


def _summary(tokens: TokenScores) -> ResponseScore:
    logp_T = tokens.logp_T.double()
    return ResponseScore(
        logp_sum=float(logp_T.sum()),
        logp_mean=float(logp_T.mean()),
        prob_mean=float(logp_T.exp().mean()),
        entropy_mean=float(tokens.entropy_T.double().mean()),
        certainty_mean=float(tokens.certainty_T.double().mean()),
    )
