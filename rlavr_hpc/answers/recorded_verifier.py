"""A verifier whose timeouts are on disk before they count, and replayed when a step is redone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future

from rlavr_hpc.answers.timed_out_answers import TimedOutAnswers, answer_id
from rlavr_hpc.answers.verifier import Grade, Verifier
from rlavr_hpc.types import Group, Prompt, Rollout, StepKey

LABEL = "label"
"""Stage suffix of grades; the vote's stage has none."""


class RecordedVerifier:
    """Votes and grades of a run.

    Every rank votes on and grades its share; rank 0 records the timeouts.
    """

    def __init__(self, verifier: Verifier, timed_out: TimedOutAnswers) -> None:
        """Put the two together."""
        self._verifier = verifier
        self._timed_out = timed_out

    def vote(
        self,
        prompts: Sequence[Prompt],
        rollouts: Sequence[Sequence[Rollout]],
        *,
        step_key: StepKey,
        stage: str,
    ) -> list[Group]:
        """Groups with their votes (`Verifier.vote`); call `record_timeouts` before using them."""
        answer_ids = self._timed_out.at(step_key, stage)
        return self._verifier.vote(prompts, rollouts, timed_out=answer_ids)

    def begin_vote(
        self,
        prompts: Sequence[Prompt],
        rollouts: Sequence[Sequence[Rollout]],
        *,
        step_key: StepKey,
        stage: str,
    ) -> Future[list[Group]]:
        """The same beside the caller's next work; ask for the result before anything else."""
        return self._verifier.beside.submit(
            self.vote, prompts, rollouts, step_key=step_key, stage=stage
        )

    def record_timeouts(self, groups: Iterable[Group], *, step_key: StepKey, stage: str) -> None:
        """Put on disk which answers of these groups are ungradable."""
        answer_ids = [m for g in groups for m in _answer_ids(g, g.vote.ungradable)]
        self._timed_out.record(answer_ids, step_key=step_key, stage=stage)

    def grade(
        self, groups: Sequence[Group], labels: Mapping[str, str], *, step_key: StepKey, stage: str
    ) -> dict[str, Grade]:
        """Grades by prompt id; call `record_grade_timeouts` before using them."""
        answer_ids = self._timed_out.at(step_key, f"{stage}/{LABEL}")
        return self._verifier.grade(groups, labels, timed_out=answer_ids)

    def record_grade_timeouts(
        self,
        groups: Iterable[Group],
        grades: Mapping[str, Grade],
        *,
        step_key: StepKey,
        stage: str,
    ) -> None:
        """Put on disk which answers could not be compared with their label."""
        lost = [
            mark
            for group in groups
            if group.prompt.id in grades
            for mark in _answer_ids(group, grades[group.prompt.id].ungradable)
        ]
        self._timed_out.record(lost, step_key=step_key, stage=f"{stage}/{LABEL}")

    def against_vote(self, group: Group) -> Grade:
        """The grade against the majority vote."""
        return self._verifier.against_vote(group)


def _answer_ids(group: Group, indices: Collection[int]) -> list[str]:
    return [answer_id(group.rollouts[i]) for i in indices]
