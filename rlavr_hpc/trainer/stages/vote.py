"""Vote: extract the answers, cluster equal ones, and take the largest cluster of each group.

Each replica votes on the prompts that it generated for; then every rank is given all votes.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future

from rlavr_hpc.rollout.engine import RolloutEngine
from rlavr_hpc.trainer import distributed
from rlavr_hpc.trainer.stages.context import TRAIN, StepContext
from rlavr_hpc.trainer.stages.rollout import PromptRollouts, RolloutBatch
from rlavr_hpc.types import Group


def begin_vote(step: StepContext, rollouts: RolloutBatch) -> Future[list[Group]]:
    """Start voting on this rank's share, on another thread, while the policy scores."""
    engine = step.components.engine
    share = rollouts.prompts[engine.replica :: engine.replicas]
    return step.components.verifier.begin_vote(
        [prompt for prompt, _ in share],
        [responses for _, responses in share],
        step_key=step.key,
        stage=TRAIN,
    )


def finish_vote(
    step: StepContext, pending: Future[list[Group]], rollouts: RolloutBatch
) -> list[Group]:
    """All groups with their votes."""
    with step.clock.phase("grade"):
        return gather_votes(pending.result(), rollouts.prompts, step.components.engine)


def gather_votes(
    mine: Sequence[Group], rollouts: Sequence[PromptRollouts], engine: RolloutEngine
) -> list[Group]:
    """All groups on every rank: every prompt's rollouts with the vote of the rank that voted."""
    votes = [(group.prompt.id, group.vote) for group in mine]
    everyone = distributed.gather_lists(votes if engine.is_leader else [])
    by_prompt = {prompt: vote for part in everyone for prompt, vote in part}
    return [
        Group(prompt=prompt, rollouts=responses, vote=by_prompt[prompt.id])
        for prompt, responses in rollouts
    ]
