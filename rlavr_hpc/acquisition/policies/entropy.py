"""Buy where the answers disagree most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rlavr_hpc.acquisition.policy_protocol import choose_top
from rlavr_hpc.types import Group, Selection, View


@dataclass(frozen=True, slots=True)
class EntropyPolicy:
    """Scores a candidate by the entropy of its answers."""

    def choose(self, candidates: Sequence[Group], view: View) -> Selection:
        """The highest entropies."""
        scores = {group.prompt.id: group.vote.entropy for group in candidates}
        return choose_top(scores, quota=view.quota)
