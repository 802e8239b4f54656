"""Buy where the true advantage gap is largest. Research only: it looks at every label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rlavr_hpc.acquisition.gap import advantage_gap
from rlavr_hpc.acquisition.policy import choose_top
from rlavr_hpc.types import Choice, Group, View


@dataclass(frozen=True, slots=True)
class CagOraclePolicy:
    """The upper bound for any policy that has to guess the gap."""

    def choose(self, candidates: Sequence[Group], view: View) -> Choice:
        """The largest true gaps; 0 for a prompt whose data has no label."""
        scores = {g.prompt.id: true_gap(g, view.oracle.get(g.prompt.id)) for g in candidates}
        return choose_top(scores, quota=view.quota)


def true_gap(group: Group, correct: Sequence[bool] | None) -> float:
    """CAG of a group by its true answers; 0 when the vote is right or nothing is known.

    Args:
        group: with its vote.
        correct: (G,) by the label.
    """
    clusters = group.vote.clusters
    if correct is None or not clusters or correct[clusters[0][0]]:
        return 0.0
    members = set(clusters[0])
    elsewhere = sum(right for i, right in enumerate(correct) if i not in members)
    return advantage_gap(
        majority=len(members), correct_elsewhere=elsewhere, group_size=len(correct)
    )
