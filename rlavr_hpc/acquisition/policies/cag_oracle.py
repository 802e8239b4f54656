"""Buy where the true advantage gap is largest. Research only: it looks at every label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rlavr_hpc.acquisition.cag import true_cag
from rlavr_hpc.acquisition.policy_protocol import choose_top
from rlavr_hpc.types import Group, Selection, View


@dataclass(frozen=True, slots=True)
class CagOraclePolicy:
    """The upper bound for any policy that has to guess the gap."""

    def choose(self, candidates: Sequence[Group], view: View) -> Selection:
        """The largest true gaps; 0 for a prompt whose data has no label."""
        scores = {g.prompt.id: true_cag(g, view.oracle.get(g.prompt.id)) for g in candidates}
        return choose_top(scores, quota=view.quota)
