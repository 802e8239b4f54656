"""Train the acquisition policy's probes on the labels that were just bought."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from rlavr_hpc.acquisition.policy_protocol import LearningPolicy
from rlavr_hpc.trainer import distributed
from rlavr_hpc.trainer.stages.buy import policy_view
from rlavr_hpc.trainer.stages.context import StepContext
from rlavr_hpc.trainer.stages.score import ScoringResult
from rlavr_hpc.types import LabelledGroup


def update_probes(
    step: StepContext, labelled: Sequence[LabelledGroup], scores: ScoringResult
) -> Mapping[str, float]:
    """Losses by name; empty for a policy that does not learn. Rank 0 trains."""
    with step.clock.phase("learn"):
        return distributed.on_main(partial(_update, step, labelled, scores))


def _update(
    step: StepContext, labelled: Sequence[LabelledGroup], scores: ScoringResult
) -> Mapping[str, float]:
    acquisition = step.components.acquisition
    if not isinstance(acquisition, LearningPolicy):
        return {}
    return acquisition.learn(labelled, policy_view(step, scores, quota=0, oracle={}))
