"""Combinations of settings that work but do less than their names say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlavr_hpc.config.acquisition import Unlabelled

if TYPE_CHECKING:
    from rlavr_hpc.config.run import RunConfig


def remarks_on(config: RunConfig) -> list[str]:
    """A sentence for each of them."""
    policy, algorithm, said = config.acquisition, config.algorithm, []
    if algorithm.warmup_steps > config.steps:
        said.append(
            f"algorithm.warmup_steps={algorithm.warmup_steps} is more than steps={config.steps}: "
            "the learning rate never reaches algorithm.lr"
        )
    if config.unlabelled is Unlabelled.trusted and not policy.has_trust:
        said.append(
            f"acquisition={policy.name} trusts no vote, so unlabelled=trusted trains like drop"
        )
    if config.unlabelled is Unlabelled.soft and not policy.has_scores:
        said.append(
            f"the scores of acquisition={policy.name} say nothing of what a label is worth, so "
            "unlabelled=soft weighs votes by chance, or all alike"
        )
    return said
