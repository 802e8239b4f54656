"""Sizes of a forward pass that were left to the plan: the largest that fit, in few passes.

Every pass gathers the weights over all ranks, so large micro-batches are fast; from some size on
they gain nothing. Activations are kept where that leaves room for passes of a useful size, else
they are computed again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.planning.fit import shortages
from rlavr_hpc.planning.sizes import Sizes

MOST_TOKENS = 32768
"""On a GPU: more tokens in a pass gain nothing."""
MOST_TOKENS_ON_CPU = 4096
USEFUL_TOKENS = 16384
"""Below this, computing activations again costs less than more passes do."""
UNPLANNED_TOKENS = 8192
"""For a model whose parameters nobody counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PassSettings:
    """How much a forward pass holds; changes memory and speed, and results in their last bits."""

    micro_batch: int | None
    micro_tokens: int | None
    gradient_checkpointing: bool

    def applied(self, config: RunConfig) -> RunConfig:
        """The config with these settings."""
        algorithm = replace(
            config.algorithm, micro_batch=self.micro_batch, micro_tokens=self.micro_tokens
        )
        deepspeed = replace(config.deepspeed, gradient_checkpointing=self.gradient_checkpointing)
        return replace(config, algorithm=algorithm, deepspeed=deepspeed)

    @property
    def overrides(self) -> list[str]:
        """As they are typed."""
        size = {"micro_batch": self.micro_batch, "micro_tokens": self.micro_tokens}
        given = [f"algorithm.{key}={value}" for key, value in size.items() if value is not None]
        return [
            *given,
            f"deepspeed.gradient_checkpointing={str(self.gradient_checkpointing).lower()}",
        ]


def named(config: RunConfig) -> PassSettings:
    """What a config that leaves nothing open says."""
    algorithm = config.algorithm
    return PassSettings(
        micro_batch=None if algorithm.micro_tokens else algorithm.micro_batch,
        micro_tokens=algorithm.micro_tokens,
        gradient_checkpointing=bool(config.deepspeed.gradient_checkpointing),
    )


def leaves_open(config: RunConfig) -> bool:
    """Whether something is left to the plan."""
    return config.algorithm.derives_passes or config.deepspeed.gradient_checkpointing is None


def derived(sizes: Sizes) -> Sizes:
    """The same with what was left open chosen."""
    return replace(sizes, config=choose(sizes).applied(sizes.config))


def choose(sizes: Sizes) -> PassSettings:
    """The settings that the config names, and for those left open the fastest that fit.

    Where none fits, the fastest of those that lack least: passes may not be what is too large.
    """
    return min(_candidates(sizes), key=lambda one: _missing(_with(sizes, one)))


def unplanned(config: RunConfig) -> PassSettings:
    """For a model of which no plan can be made: careful ones."""
    said = named(config)
    if config.algorithm.derives_passes:
        said = replace(said, micro_tokens=UNPLANNED_TOKENS)
    again = config.deepspeed.gradient_checkpointing
    return replace(said, gradient_checkpointing=True if again is None else again)


def _missing(sizes: Sizes) -> float:
    return sum(shortage.missing for shortage in shortages(sizes))


def _with(sizes: Sizes, chosen: PassSettings) -> Sizes:
    return replace(sizes, config=chosen.applied(sizes.config))


def _candidates(sizes: Sizes) -> Iterator[PassSettings]:
    """From the fastest to the one that needs least memory."""
    algorithm, recomputed = sizes.config.algorithm, sizes.config.deepspeed.gradient_checkpointing
    for again in (False, True) if recomputed is None else (recomputed,):
        if not algorithm.derives_passes:
            yield replace(named(sizes.config), gradient_checkpointing=again)
            continue
        least = sizes.longest
        if recomputed is None and not again:
            least = max(least, USEFUL_TOKENS if sizes.on_gpu else 0)
        for tokens in _budgets(sizes, least):
            yield PassSettings(micro_batch=None, micro_tokens=tokens, gradient_checkpointing=again)


def _budgets(sizes: Sizes, least: int) -> Iterator[int]:
    """Halved from the most to the least, which is the last."""
    tokens = MOST_TOKENS if sizes.on_gpu else MOST_TOKENS_ON_CPU
    while tokens > least:
        yield tokens
        tokens //= 2
    yield least
