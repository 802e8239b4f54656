"""Which prompts are offered to the acquisition policy at all."""

from __future__ import annotations

from collections.abc import Set, Sized

from rlavr_hpc.config.acquisition import CandidateRule


def buyable_prompts(
    rule: CandidateRule, *, prompts: Sized, labelled: Set[str], auto: bool = True
) -> frozenset[str] | None:
    """Ids of the prompts that may be candidates; None = all.

    Args:
        rule: `auto` takes those with a label where fewer than half of the prompts have one.
        prompts: the training prompts.
        labelled: ids of those with a label in the data.
        auto: False for a run of version 0.1, which knew no such rule: there `auto` takes all.
    """
    few = auto and 2 * len(labelled) < len(prompts)
    if rule is CandidateRule.all or (rule is CandidateRule.auto and not few):
        return None
    return frozenset(labelled)
