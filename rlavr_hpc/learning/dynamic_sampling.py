"""Dynamic sampling: the prompts of a larger draw that a step trains on."""

from __future__ import annotations

from collections.abc import Sequence

from rlavr_hpc.types import Group


def is_informative(group: Group) -> bool:
    """Whether some responses agree with the vote and some do not.

    Where all agree, or none is parsable, all rewards are equal, by the vote and by any label: the
    advantages are 0, and so is the value of a label (CAG).
    """
    return 0.0 < group.vote.majority_ratio < 1.0


def filter_informative_groups(groups: Sequence[Group], *, batch: int) -> list[Group]:
    """The first `batch` informative groups, in order; filled up with the first others if needed.

    It uses no label, so it comes before any purchase. It depends on the votes alone, so a step that
    is repeated keeps the same prompts.
    """
    ranked = sorted(range(len(groups)), key=lambda i: not is_informative(groups[i]))  # stable
    return [groups[i] for i in sorted(ranked[:batch])]
