"""Buy where the model finds its own responses least likely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rlavr_hpc.acquisition.policy_protocol import choose_top
from rlavr_hpc.types import Group, Selection, View


@dataclass(frozen=True, slots=True)
class AvgProbPolicy:
    """Scores a candidate by 1 - the mean over its responses of their mean token probability."""

    needs_scores: ClassVar[bool] = True

    def choose(self, candidates: Sequence[Group], view: View) -> Selection:
        """The least probable."""
        scores = {}
        for group in candidates:
            probs = [response.prob_mean for response in view.responses[group.prompt.id]]
            scores[group.prompt.id] = 1.0 - sum(probs) / len(probs)
        return choose_top(scores, quota=view.quota)
