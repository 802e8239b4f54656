"""Which prompts of a larger draw a step goes on with: those that can teach something."""

from __future__ import annotations

from collections.abc import Sequence

from rlavr_hpc.types import Group


def is_informative(group: Group) -> bool:
    """Whether some responses agree with the vote and some do not.

    Where all agree, or none can be read, all earn the same, by the vote and by any label (the
    advantage gap is 0): no label is worth its price there, and nothing moves.
    """
    return 0.0 < group.vote.majority_ratio < 1.0


def filter_informative_groups(groups: Sequence[Group], *, batch: int) -> list[Group]:
    """The first `batch` split groups, in order; filled up with the first others if need be.

    No label is looked at, so it comes before any purchase; and it depends on the votes alone, so a
    step that is done again keeps the same prompts.
    """
    ranked = sorted(range(len(groups)), key=lambda i: not is_informative(groups[i]))  # stable
    return [groups[i] for i in sorted(ranked[:batch])]
