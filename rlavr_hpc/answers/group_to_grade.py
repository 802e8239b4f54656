"""One group's answers against the accepted answers of its label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rlavr_hpc.answers.equivalence import ParsedAnswer, known_pair
from rlavr_hpc.answers.sandbox.timeouts import Pair
from rlavr_hpc.answers.task_graders import is_label
from rlavr_hpc.answers.vote_clusters import equals_known, open_pairs_with_known
from rlavr_hpc.types import Group


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupToGrade:
    """A group to be graded by its label's accepted answers."""

    group: Group
    answers: list[ParsedAnswer | None]
    accepted: list[ParsedAnswer]

    def open_pairs(self) -> list[Pair]:
        """The comparisons that its answers still need."""
        parsed_answers = {parsed.raw: parsed for _, parsed in self._answered()}
        return [p for r in parsed_answers.values() for p in open_pairs_with_known(r, self.accepted)]

    def decide(self, compared: Mapping[Pair, float | None]) -> tuple[set[int], set[int]]:
        """Indices of the right rollouts, and of the ungradable ones."""
        right, lost = set[int](), set[int]()
        for index, parsed in self._answered():
            outcome = equals_known(parsed, self.accepted, compared)
            if outcome is None:
                lost.add(index)
            elif outcome:
                right.add(index)
        return right, lost

    def earned(self, compared: Mapping[Pair, float | None]) -> dict[int, float]:
        """What rollouts earn where the task's class says it; {} for other tasks."""
        if not any(is_label(gold.raw) for gold in self.accepted):
            return {}
        [label] = self.accepted
        said = {i: compared.get(known_pair(parsed, label)) for i, parsed in self._answered()}
        return {i: reward for i, reward in said.items() if reward is not None}

    def _answered(self) -> list[tuple[int, ParsedAnswer]]:
        return [(i, parsed) for i, parsed in enumerate(self.answers) if parsed is not None]
