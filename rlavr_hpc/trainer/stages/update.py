"""Update: one optimizer update of the policy per mini-batch."""

from __future__ import annotations

from collections.abc import Sequence

from rlavr_hpc.telemetry.step_metrics import Update
from rlavr_hpc.trainer.stages.context import StepContext
from rlavr_hpc.trainer.stages.score import ScoringResult, old_logprobs
from rlavr_hpc.training_types import MiniBatch


def update_policy(
    step: StepContext,
    batches: Sequence[MiniBatch],
    scores: ScoringResult,
    *,
    skip_update: bool,
) -> list[Update]:
    """Update the policy on each mini-batch in turn.

    Args:
        step: the step.
        batches: its mini-batches.
        scores: the log-probabilities before the first update, where they are known.
        skip_update: leave the weights as they are.

    Raises:
        DivergedError: on every rank, when a loss or a gradient is not a finite number.
    """
    policy = step.components.policy
    with step.clock.phase("score"):
        before = old_logprobs(policy, batches, scores.old_logprobs)
    with step.clock.phase("train"):
        return [
            policy.update(batch, step=step.key.step, old_logprobs=old, skip_update=skip_update)
            for batch, old in zip(batches, before, strict=True)
        ]
