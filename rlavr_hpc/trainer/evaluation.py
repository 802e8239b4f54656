"""Accuracy on held-out prompts: mean@n, pass@n, maj@n."""

from __future__ import annotations

from rlavr_hpc.rollout.engine import Sampling
from rlavr_hpc.telemetry.names import eval_name
from rlavr_hpc.telemetry.reduce import Metrics, mean_of
from rlavr_hpc.trainer import distributed
from rlavr_hpc.trainer.components import Components, HeldOutSet
from rlavr_hpc.trainer.policy.weight_sync import sleep_after, sync_weights
from rlavr_hpc.trainer.step import gather_groups, gather_rollouts, generate, grade, share_of
from rlavr_hpc.types import StepKey


def evaluate(components: Components, step_key: StepKey) -> Metrics:
    """Every test set at the policy's present weights; all ranks call this together.

    Raises:
        GivenUpError: a stop signal leaves no time for it.
    """
    sync_weights(
        components.policy, components.engine, bucket_mib=components.config.rollout.sync_bucket_mib
    )
    metrics: Metrics = {}
    with sleep_after(components.policy, components.engine):
        for test_set in components.test_sets:
            metrics |= _evaluate_set(components, test_set, step_key)
    return metrics


def _evaluate_set(components: Components, test_set: HeldOutSet, step_key: StepKey) -> Metrics:
    config = components.config.eval
    sampling = Sampling(
        samples=config.samples,
        temperature=config.temperature,
        top_p=config.top_p,
        max_tokens=components.config.rollout.max_response_tokens,
        purpose=f"eval/{test_set.name}",
    )
    share = share_of(test_set.prompts, components)
    rollouts, _ = generate(components, share, sampling, step_key)
    stage = f"eval/{test_set.name}"
    mine = components.verifier.vote(share, rollouts, step_key=step_key, stage=stage)
    groups = gather_groups(
        mine, gather_rollouts(share, rollouts, test_set.prompts, components), components
    )
    distributed.on_main(
        lambda: components.verifier.record_timeouts(groups, step_key=step_key, stage=stage)
    )
    verdicts = grade(components, mine, test_set.answers, step_key=step_key, stage=stage)
    judged = [(g, verdicts[g.prompt.id].correct) for g in groups]
    n = config.samples
    return {
        eval_name(test_set.name, "mean", n): mean_of(r for _, right in judged for r in right),
        eval_name(test_set.name, "pass", n): mean_of(any(right) for _, right in judged),
        eval_name(test_set.name, "maj", n): mean_of(g.vote.is_right(r) for g, r in judged),
    }
