"""Accuracy on held-out prompts: mean@n, pass@n, maj@n."""

from __future__ import annotations

from rlavr_hpc.rollout.engine import Sampling
from rlavr_hpc.telemetry.names import eval_name
from rlavr_hpc.telemetry.reduce import Metrics, mean_of
from rlavr_hpc.trainer import ranks
from rlavr_hpc.trainer.parts import HeldOutSet, Parts
from rlavr_hpc.trainer.step import gather_groups, gather_rollouts, generate, judge, share_of
from rlavr_hpc.trainer.weight_sync import resting_after, sync_weights
from rlavr_hpc.types import Place


def evaluate(parts: Parts, place: Place) -> Metrics:
    """Every test set at the policy's present weights; all ranks call this together.

    Raises:
        GivenUpError: a stop signal leaves no time for it.
    """
    sync_weights(parts.policy, parts.engine, bucket_mib=parts.config.rollout.sync_bucket_mib)
    metrics: Metrics = {}
    with resting_after(parts.policy, parts.engine):
        for test_set in parts.test_sets:
            metrics |= _evaluate_set(parts, test_set, place)
    return metrics


def _evaluate_set(parts: Parts, test_set: HeldOutSet, place: Place) -> Metrics:
    config = parts.config.eval
    sampling = Sampling(
        samples=config.samples,
        temperature=config.temperature,
        top_p=config.top_p,
        max_tokens=parts.config.rollout.max_response_tokens,
        purpose=f"eval/{test_set.name}",
    )
    share = share_of(test_set.prompts, parts)
    rollouts, _ = generate(parts, share, sampling, place)
    stage = f"eval/{test_set.name}"
    mine = parts.referee.vote(share, rollouts, place=place, stage=stage)
    groups = gather_groups(mine, gather_rollouts(share, rollouts, test_set.prompts, parts), parts)
    ranks.on_main(lambda: parts.referee.settle(groups, place=place, stage=stage))
    verdicts = judge(parts, mine, test_set.answers, place=place, stage=stage)
    judged = [(g, verdicts[g.prompt.id].correct) for g in groups]
    n = config.samples
    return {
        eval_name(test_set.name, "mean", n): mean_of(r for _, right in judged for r in right),
        eval_name(test_set.name, "pass", n): mean_of(any(right) for _, right in judged),
        eval_name(test_set.name, "maj", n): mean_of(g.vote.is_right(r) for g, r in judged),
    }
