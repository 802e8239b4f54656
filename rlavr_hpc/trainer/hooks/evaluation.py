"""Accuracy on held-out prompts: mean@n and its standard error, pass@n, maj@n."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from math import sqrt
from statistics import fmean

from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.rollout.engine import Sampling
from rlavr_hpc.runs.checkpoints import TrainingState
from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.names import eval_name
from rlavr_hpc.telemetry.reduce import Mean, Metrics, mean_of, variance_of_mean
from rlavr_hpc.trainer import distributed
from rlavr_hpc.trainer.components import HELD_OUT, Components, HeldOutSet
from rlavr_hpc.trainer.policy.weight_sync import sleep_after, sync_weights
from rlavr_hpc.trainer.stages.grade import grade_share
from rlavr_hpc.trainer.stages.rollout import gather_rollouts, sample_share, share_of
from rlavr_hpc.trainer.stages.vote import gather_votes
from rlavr_hpc.types import StepKey


def accuracy_name(config: RunConfig) -> str:
    """Name of the metric that is the run's accuracy: mean@n on its own held-out set."""
    return eval_name(HELD_OUT, "mean", config.eval.samples)


def scored(state: TrainingState, values: Mapping[str, float], accuracy: str) -> TrainingState:
    """The state with accuracy and its standard error, both None without an evaluation."""
    error = values.get(accuracy.replace("/mean@", "/stderr@"))
    return replace(state, score=values.get(accuracy), score_error=error)


def evaluate(components: Components, step_key: StepKey) -> Metrics:
    """Every test set at the policy's present weights; all ranks call this together.

    Raises:
        OutOfTimeError: on all ranks, when a stop signal leaves no time for it.
    """
    start = time.perf_counter()
    with components.deadline.work("evaluation"):
        sync_weights(
            components.policy,
            components.engine,
            bucket_mib=components.config.rollout.sync_bucket_mib,
        )
        metrics: Metrics = {}
        with sleep_after(components.policy, components.engine):
            for test_set in components.test_sets:
                metrics |= _evaluate_set(components, test_set, step_key)
    return {**metrics, names.TIME_EVALUATE: Mean(time.perf_counter() - start)}


def _evaluate_set(components: Components, test_set: HeldOutSet, step_key: StepKey) -> Metrics:
    config, engine, verifier = components.config.eval, components.engine, components.verifier
    stage = f"eval/{test_set.name}"
    sampling = Sampling(
        samples=config.samples,
        temperature=config.temperature,
        top_p=config.top_p,
        max_tokens=components.config.rollout.max_response_tokens,
        purpose=stage,
    )
    share = share_of(test_set.prompts, engine)
    rollouts = sample_share(components, share, sampling, step_key)
    votes = verifier.vote(share, rollouts, step_key=step_key, stage=stage)
    groups = gather_votes(votes, gather_rollouts(share, rollouts, test_set.prompts, engine), engine)
    distributed.on_main(lambda: verifier.record_timeouts(groups, step_key=step_key, stage=stage))
    grades = grade_share(components, groups, test_set.answers, step_key=step_key, stage=stage)
    graded = [(group, grades[group.prompt.id].correct) for group in groups]
    n = config.samples
    variance = variance_of_mean([fmean(row) for _, row in graded])
    return {
        eval_name(test_set.name, "stderr", n): Mean(sqrt(variance.total), variance.count),
        eval_name(test_set.name, "mean", n): mean_of(c for _, row in graded for c in row),
        eval_name(test_set.name, "pass", n): mean_of(any(row) for _, row in graded),
        eval_name(test_set.name, "maj", n): mean_of(g.vote.is_right(row) for g, row in graded),
    }
