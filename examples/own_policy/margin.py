"""An acquisition policy of one's own: margin sampling, in one file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rlavr_hpc.acquisition.policy_protocol import choose_top
from rlavr_hpc.types import Group, Selection, View


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginPolicy:
    """Buys where the two most frequent answers of a prompt are closest.

    The fields are the settings: `acquisition.settings.skip_unanimous=false`.
    """

    skip_unanimous: bool = True
    """Never buy where all parsable answers agree, even if the quota is not used up."""

    def choose(self, candidates: Sequence[Group], view: View) -> Selection:
        """The smallest margins, at most `view.quota` of them."""
        scores = {
            group.prompt.id: 1 - margin(group)
            for group in candidates
            if not self.skip_unanimous or len(group.vote.clusters) > 1
        }
        return choose_top(scores, quota=view.quota)


def margin(group: Group) -> float:
    """How far the most frequent answer is ahead of the next: a share of the group, 0 to 1."""
    sizes = [len(members) for members in group.vote.clusters]
    first, second = (*sizes, 0, 0)[:2]  # clusters stand largest first
    return (first - second) / len(group.rollouts)
