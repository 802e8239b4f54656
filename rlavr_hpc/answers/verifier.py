"""Votes among rollouts and grades against labels, a whole step at a time.

Whatever decides equality, the trainer only knows `Verifier`. Reading and comparing happen in
bulk, so that all graders are busy at once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from rlavr_hpc.answers.equivalence import Equality, ParsedAnswer
from rlavr_hpc.answers.sandbox.pool import GraderPool
from rlavr_hpc.answers.sandbox.process import Limits
from rlavr_hpc.answers.sandbox.timeouts import Pair, RawAnswer
from rlavr_hpc.answers.tasks.registry import make_tasks
from rlavr_hpc.answers.timed_out_answers import answer_id
from rlavr_hpc.answers.vote_clusters import cluster, equals_known, open_pairs, open_pairs_with_known
from rlavr_hpc.config.grading import Extract, Thoughts
from rlavr_hpc.types import Group, Prompt, Rollout, Vote

NOBODY: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """How a group's rollouts compare with one reference answer (a label, or the vote)."""

    correct: tuple[bool, ...]
    """(G,) whether a rollout's answer equals the reference."""
    rewards: tuple[float, ...]
    """(G,) what it earns for that; binary for math, graded for knights-and-knaves."""
    ungradable: tuple[int, ...] = ()
    """Rollouts whose comparison with this reference passed a limit: they earn nothing."""


class Verifier:
    """Reads answers, clusters them, and compares them with references."""

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        workers: int = 1,
        where: Extract = Extract.auto,
        thoughts: Thoughts = Thoughts.skip,
        evaluate: bool = True,
    ) -> None:
        """Graders start with the first answer that is not plain.

        Args:
            limits: of one request to a grader.
            workers: how many graders.
            where: where a math answer may stand.
            thoughts: whether it may stand in a thought.
            evaluate: whether a calculation equals its value.
        """
        self.equality = Equality(
            lambda: GraderPool(limits or Limits(), workers=workers), evaluate=evaluate
        )
        self.tasks = make_tasks(where, thoughts)
        self.beside = ThreadPoolExecutor(1, thread_name_prefix="verifier")
        """For work beside the caller's. It must live as long as the graders: they end with the
        thread that started them."""

    def close(self) -> None:
        """End the graders, after the work in progress."""
        self.beside.shutdown()
        self.equality.close()

    def vote(
        self,
        prompts: Sequence[Prompt],
        rollouts: Sequence[Sequence[Rollout]],
        *,
        timed_out: Collection[str] = NOBODY,
    ) -> list[Group]:
        """The groups of the prompts' rollouts with their votes.

        Args:
            prompts: B of them.
            rollouts: (B, G).
            timed_out: ids (`answer_id`) of answers on record as ungradable.
        """
        rows = [self._raw_answers(p, row) for p, row in zip(prompts, rollouts, strict=True)]
        lost = [{i for i, r in enumerate(row) if answer_id(r) in timed_out} for row in rollouts]
        known = self.equality.read(
            raw
            for row, gone in zip(rows, lost, strict=True)
            for i, raw in enumerate(row)
            if raw is not None and i not in gone
        )
        parsed_answers = [
            [None if s is None or i in gone else known[s] for i, s in enumerate(row)]
            for row, gone in zip(rows, lost, strict=True)
        ]
        compared = self.equality.same(pair for row in parsed_answers for pair in open_pairs(row))
        groups = []
        for prompt, row, read, gone in zip(prompts, rollouts, parsed_answers, lost, strict=True):
            found = cluster(read, compared)
            vote = Vote(
                answers=tuple(None if r is None else r.shown or None for r in read),
                clusters=found.clusters,
                ungradable=tuple(sorted({*found.ungradable, *gone})),
            )
            groups.append(Group(prompt=prompt, rollouts=tuple(row), vote=vote))
        return groups

    def against_vote(self, group: Group) -> Grade:
        """The grade against the majority vote; without a vote nothing is right."""
        return self._grade(group, group.vote.majority)

    def grade(
        self,
        groups: Sequence[Group],
        labels: Mapping[str, str],
        *,
        timed_out: Collection[str] = NOBODY,
    ) -> dict[str, Grade]:
        """Grades against true answers, by prompt id.

        Every answer is graded by itself, whatever the others of its group say.

        Args:
            groups: with their votes.
            labels: prompt id -> true answer; groups without one are left out.
            timed_out: ids (`answer_id`) of answers on record as ungradable.
        """
        labelled = [group for group in groups if group.prompt.id in labels]
        answers = [self._gradable_raw_answers(g) for g in labelled]
        accepted = [self._accepted_answers(g.prompt, labels[g.prompt.id]) for g in labelled]
        answered = [s for row in answers for s in row if s is not None]
        known = self.equality.read([*answered, *(s for row in accepted for s in row)])
        cases = [
            _GroupToGrade(
                group=group,
                answers=[None if s is None else known[s] for s in row],
                accepted=[parsed for s in gold if (parsed := known[s]) is not None],
            )
            for group, row, gold in zip(labelled, answers, accepted, strict=True)
        ]
        compared = self.equality.same(pair for case in cases for pair in case.open_pairs())
        grades = {}
        for case in cases:
            group = case.group
            marked = {i for i, r in enumerate(group.rollouts) if answer_id(r) in timed_out}
            right, lost = case.decide(compared)
            correct = tuple(i in right - marked for i in range(len(group.rollouts)))
            grades[group.prompt.id] = self._grade(
                group, correct, ungradable=tuple(sorted(lost | marked))
            )
        return grades

    def _raw_answers(self, prompt: Prompt, rollouts: Sequence[Rollout]) -> list[RawAnswer | None]:
        task = self.tasks[prompt.task]
        texts = [task.extract(rollout.text, prompt.text) for rollout in rollouts]
        return [None if text is None else (task.mode, text) for text in texts]

    def _gradable_raw_answers(self, group: Group) -> list[RawAnswer | None]:
        lost = set(group.vote.ungradable)
        raw_answers = self._raw_answers(group.prompt, group.rollouts)
        return [None if i in lost else raw for i, raw in enumerate(raw_answers)]

    def _accepted_answers(self, prompt: Prompt, label: str) -> list[RawAnswer]:
        task = self.tasks[prompt.task]
        return [(task.mode, gold) for gold in task.accepted(label, prompt.text)]

    def _grade(
        self, group: Group, correct: tuple[bool, ...], *, ungradable: tuple[int, ...] = ()
    ) -> Grade:
        task = self.tasks[group.prompt.task]
        lost = {*ungradable, *group.vote.ungradable}
        answers = [None if i in lost else a for i, a in enumerate(group.vote.answers)]
        triples = zip(group.rollouts, answers, correct, strict=True)
        return Grade(
            correct=correct,
            rewards=tuple(task.reward(r.text, a, correct=right) for r, a, right in triples),
            ungradable=ungradable,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _GroupToGrade:
    """A group to be graded by its label's accepted answers."""

    group: Group
    answers: list[ParsedAnswer | None]
    accepted: list[ParsedAnswer]

    def open_pairs(self) -> list[Pair]:
        parsed_answers = {parsed.raw: parsed for _, parsed in self._answered()}
        return [p for r in parsed_answers.values() for p in open_pairs_with_known(r, self.accepted)]

    def decide(self, compared: Mapping[Pair, bool | None]) -> tuple[set[int], set[int]]:
        """Indices of the right rollouts, and of the ungradable ones."""
        right, lost = set[int](), set[int]()
        for index, parsed in self._answered():
            outcome = equals_known(parsed, self.accepted, compared)
            if outcome is None:
                lost.add(index)
            elif outcome:
                right.add(index)
        return right, lost

    def _answered(self) -> list[tuple[int, ParsedAnswer]]:
        return [(i, parsed) for i, parsed in enumerate(self.answers) if parsed is not None]
