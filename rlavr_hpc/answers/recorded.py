"""A referee whose giving up is on disk before it counts, and replayed when a step is redone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future

from rlavr_hpc.answers.given_up import GivenUp, mark_of
from rlavr_hpc.answers.referee import Referee, Verdict
from rlavr_hpc.types import Group, Place, Prompt, Rollout

LABEL = "label"
"""Stage suffix of verdicts; the vote's stage has none."""


class RecordedReferee:
    """Votes and verdicts of a run.

    Every rank votes on and judges its share; rank 0 settles, that is, writes.
    """

    def __init__(self, referee: Referee, given_up: GivenUp) -> None:
        """Put the two together."""
        self._referee = referee
        self._given_up = given_up

    def vote(
        self,
        prompts: Sequence[Prompt],
        rollouts: Sequence[Sequence[Rollout]],
        *,
        place: Place,
        stage: str,
    ) -> list[Group]:
        """Groups with their votes; see `Referee.vote`. `settle` them before they are used."""
        marks = self._given_up.at(place, stage)
        return self._referee.vote(prompts, rollouts, given_up=marks)

    def begin_vote(
        self,
        prompts: Sequence[Prompt],
        rollouts: Sequence[Sequence[Rollout]],
        *,
        place: Place,
        stage: str,
    ) -> Future[list[Group]]:
        """The same beside the caller's next work; ask for the result before anything else."""
        return self._referee.beside.submit(self.vote, prompts, rollouts, place=place, stage=stage)

    def settle(self, groups: Iterable[Group], *, place: Place, stage: str) -> None:
        """Put on disk which answers of these groups are ungradable."""
        marks = [m for g in groups for m in _marks(g, g.vote.ungradable)]
        self._given_up.record(marks, place=place, stage=stage)

    def judge(
        self, groups: Sequence[Group], labels: Mapping[str, str], *, place: Place, stage: str
    ) -> dict[str, Verdict]:
        """Verdicts by true answers, by prompt id. `settle_verdicts` before they are used."""
        marks = self._given_up.at(place, f"{stage}/{LABEL}")
        return self._referee.judge(groups, labels, given_up=marks)

    def settle_verdicts(
        self,
        groups: Iterable[Group],
        verdicts: Mapping[str, Verdict],
        *,
        place: Place,
        stage: str,
    ) -> None:
        """Put on disk which answers could not be compared with their label."""
        lost = [
            mark
            for group in groups
            if group.prompt.id in verdicts
            for mark in _marks(group, verdicts[group.prompt.id].ungradable)
        ]
        self._given_up.record(lost, place=place, stage=f"{stage}/{LABEL}")

    def against_vote(self, group: Group) -> Verdict:
        """Verdict by the majority."""
        return self._referee.against_vote(group)


def _marks(group: Group, indices: Collection[int]) -> list[str]:
    return [mark_of(group.rollouts[i]) for i in indices]
