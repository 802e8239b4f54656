"""Roll out: bring the engine to the policy's weights, and generate G responses per prompt.

Each replica of the engine generates for its share of the prompts; then every rank is given all
responses.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.errors import OutOfTimeError
from rlavr_hpc.rollout.engine import RolloutEngine, Sampling
from rlavr_hpc.trainer import distributed
from rlavr_hpc.trainer.components import Components
from rlavr_hpc.trainer.policy.weight_sync import sleep_after, sync_weights
from rlavr_hpc.trainer.stages.context import StepContext
from rlavr_hpc.trainer.stages.self_verification import SelfVerdicts
from rlavr_hpc.types import Prompt, Rollout, StepKey

PromptRollouts = tuple[Prompt, tuple[Rollout, ...]]
"""A prompt with its rollouts, before any vote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutBatch:
    """All responses of a step, on every rank."""

    prompts: list[PromptRollouts]
    """In the order of the batch."""
    self_verdicts: SelfVerdicts
    """What the policy says of its own responses; empty unless the reward asks for it."""


def sync_engine(step: StepContext) -> None:
    """Give the rollout engine the policy's present weights."""
    components = step.components
    with step.clock.phase("sync"):
        sync_weights(
            components.policy,
            components.engine,
            bucket_mib=components.config.rollout.sync_bucket_mib,
        )


def generate_rollouts(step: StepContext, prompts: Sequence[Prompt]) -> RolloutBatch:
    """G responses per prompt, and the policy's verdicts on them where the reward asks for these.

    Raises:
        OutOfTimeError: on all ranks, when one of them has no time left.
    """
    components = step.components
    with step.clock.phase("generate"):
        with sleep_after(components.policy, components.engine):
            share = share_of(prompts, components.engine)
            sampling = training_sampling(components.config)
            rollouts = sample_share(components, share, sampling, step.key)
            verdicts = _verify_share(components, rollouts, step.key)
        return RolloutBatch(
            prompts=gather_rollouts(share, rollouts, prompts, components.engine),
            self_verdicts=_gather_verdicts(verdicts, components),
        )


def training_sampling(config: RunConfig) -> Sampling:
    """How training samples: the whole distribution, because truncation biases the ratios."""
    return Sampling(
        samples=config.algorithm.group_size,
        temperature=config.rollout.temperature,
        max_tokens=config.rollout.max_response_tokens,
    )


def share_of(prompts: Sequence[Prompt], engine: RolloutEngine) -> list[Prompt]:
    """The prompts that this rank's replica generates for."""
    return list(prompts[engine.replica :: engine.replicas])


def sample_share(
    components: Components, share: Sequence[Prompt], sampling: Sampling, step_key: StepKey
) -> list[list[Rollout]]:
    """This replica's responses, per prompt of its share.

    Raises:
        OutOfTimeError: on all ranks, when one of them has no time left.
    """
    should_abort = components.deadline.out_of_time
    rollouts: list[list[Rollout]] = []
    with suppress(OutOfTimeError):  # raised below, on every rank
        rollouts = components.engine.sample(
            share,
            sampling=sampling,
            step_key=step_key,
            version=components.policy.version,
            should_abort=should_abort,
        )
    distributed.abort_together(should_abort)
    return rollouts


def gather_rollouts(
    share: Sequence[Prompt],
    mine: Sequence[Sequence[Rollout]],
    prompts: Sequence[Prompt],
    engine: RolloutEngine,
) -> list[PromptRollouts]:
    """All prompts with their rollouts on every rank, in the batch's order."""
    named = zip((prompt.id for prompt in share), map(tuple, mine), strict=True)
    everyone = distributed.gather_lists(list(named) if engine.is_leader else [])
    by_prompt = {prompt: rollouts for part in everyone for prompt, rollouts in part}
    return [(prompt, by_prompt[prompt.id]) for prompt in prompts]


def _verify_share(
    components: Components, rollouts: Sequence[Sequence[Rollout]], step_key: StepKey
) -> SelfVerdicts:
    if components.self_verifier is None:
        return {}
    should_abort = components.deadline.out_of_time
    verdicts: SelfVerdicts = {}
    with suppress(OutOfTimeError):  # raised below, on every rank
        verdicts = components.self_verifier.judge(
            components.engine,
            rollouts,
            step_key=step_key,
            version=components.policy.version,
            should_abort=should_abort,
        )
    distributed.abort_together(should_abort)
    return verdicts


def _gather_verdicts(mine: SelfVerdicts, components: Components) -> SelfVerdicts:
    """Those of all replicas, on every rank."""
    if components.self_verifier is None:
        return {}
    everyone = distributed.gather_lists(list(mine.items()) if components.engine.is_leader else [])
    return {prompt: verdicts for part in everyone for prompt, verdicts in part}
