"""Oracle diagnostics: numbers that need labels nobody bought. Research only.

They are measured after the step and go to the record alone; a run with them on is bit-identical
to one with them off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.reduce import Metrics, mean_of
from rlavr_hpc.types import Group, Place

Judge = Callable[[Sequence[Group], Place], Mapping[str, Sequence[bool]]]
"""(G,) correctness by all labels the data has, by prompt id; prompts without a label left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """Compares votes with all labels the data has."""

    judge: Judge

    def measure(self, groups: Sequence[Group], place: Place) -> Metrics:
        """The step's oracle diagnostics, over the groups whose data has a label."""
        correct = self.judge(groups, place)
        judged = [(g, correct[g.prompt.id]) for g in groups if g.prompt.id in correct]
        return {
            names.ORACLE_VOTE_ACCURACY: mean_of(vote_is_right(g, right) for g, right in judged),
            names.ORACLE_TRUE_REWARD: mean_of(r for _, right in judged for r in right),
            names.ORACLE_PASS: mean_of(any(right) for _, right in judged),
            names.ORACLE_REWARD_ACCURACY: mean_of(
                mine == true
                for group, right in judged
                for mine, true in zip(group.vote.majority, right, strict=True)
            ),
        }


def vote_is_right(group: Group, correct: Sequence[bool]) -> bool:
    """Whether the winning cluster is a correct one; False without a vote."""
    return bool(group.vote.clusters) and correct[group.vote.clusters[0][0]]
