"""Votes among rollouts and grades against labels, a whole step at a time.

Whatever decides equality, the trainer only knows `Verifier`. Reading and comparing happen in
bulk, so that all graders are busy at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from rlavr_hpc.answers.equivalence import MATH, Equality, ParsedAnswer
from rlavr_hpc.answers.group_to_grade import GroupToGrade
from rlavr_hpc.answers.sandbox.pool import GraderPool
from rlavr_hpc.answers.sandbox.process import Limits
from rlavr_hpc.answers.sandbox.timeouts import Pair, RawAnswer
from rlavr_hpc.answers.task_graders import by_task, task_equality
from rlavr_hpc.answers.tasks.protocol import label_mode
from rlavr_hpc.answers.tasks.registry import class_tasks, make_tasks
from rlavr_hpc.answers.timed_out_answers import answer_id
from rlavr_hpc.answers.unevaluated import UNEVALUATED_MATH
from rlavr_hpc.answers.vote_clusters import cluster, open_pairs
from rlavr_hpc.config.grading import Extract, Thoughts
from rlavr_hpc.config.task import TaskConfig
from rlavr_hpc.types import Group, Prompt, Rollout, Vote

NOBODY: frozenset[str] = frozenset()
NOTHING: Mapping[int, float] = {}


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
        task: TaskConfig | None = None,
    ) -> None:
        """Graders start with the first answer that is not plain.

        Args:
            limits: of one request to a grader.
            workers: how many graders.
            where: where a math answer may stand.
            thoughts: whether it may stand in a thought.
            evaluate: whether a calculation equals its value.
            task: the run's own task; None = there is none.
        """
        limits = limits or Limits()
        self.equality = Equality(
            lambda: GraderPool(limits, workers=workers),
            rules=MATH if evaluate else UNEVALUATED_MATH,
        )
        self.own = {
            config.name: task_equality(config, limits=limits, workers=workers)
            for config in class_tasks(task)
        }
        self.tasks = make_tasks(where, thoughts, config=task)
        self.beside = ThreadPoolExecutor(1, thread_name_prefix="verifier")
        """For work beside the caller's. It must live as long as the graders: they end with the
        thread that started them."""

    def close(self) -> None:
        """End the graders, after the work in progress."""
        self.beside.shutdown()
        for equality in (self.equality, *self.own.values()):
            equality.close()

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
        known = self._read(
            raw
            for row, gone in zip(rows, lost, strict=True)
            for i, raw in enumerate(row)
            if raw is not None and i not in gone
        )
        parsed_answers = [
            [None if s is None or i in gone else known[s] for i, s in enumerate(row)]
            for row, gone in zip(rows, lost, strict=True)
        ]
        compared = self._same(pair for row in parsed_answers for pair in open_pairs(row))
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
        known = self._read([*answered, *(s for row in accepted for s in row)])
        cases = [
            GroupToGrade(
                group=group,
                answers=[None if s is None else known[s] for s in row],
                accepted=[parsed for s in gold if (parsed := known[s]) is not None],
            )
            for group, row, gold in zip(labelled, answers, accepted, strict=True)
        ]
        compared = self._same(pair for case in cases for pair in case.open_pairs())
        grades = {}
        for case in cases:
            group = case.group
            marked = {i for i, r in enumerate(group.rollouts) if answer_id(r) in timed_out}
            right, lost = case.decide(compared)
            correct = tuple(i in right - marked for i in range(len(group.rollouts)))
            earned = {i: r for i, r in case.earned(compared).items() if i not in marked}
            grades[group.prompt.id] = self._grade(
                group, correct, ungradable=tuple(sorted(lost | marked)), earned=earned
            )
        return grades

    def cluster_texts(self, task: str, texts: Sequence[str]) -> tuple[tuple[int, ...], ...]:
        """Indices of texts that say the same as answers of a task; the larger cluster first.

        A text that cannot be compared within the limits is in no cluster.
        """
        mode = self.tasks[task].mode
        known = self._read((mode, text) for text in texts)
        parsed = [known[mode, text] for text in texts]
        return cluster(parsed, self._same(open_pairs(parsed))).clusters

    def _read(self, raw_answers: Iterable[RawAnswer]) -> dict[RawAnswer, ParsedAnswer | None]:
        """`Equality.read` of whoever reads answers of each mode."""
        found: dict[RawAnswer, ParsedAnswer | None] = {}
        for name, part in by_task(raw_answers, mode=lambda raw: raw[0]).items():
            found |= self._equality_of(name).read(part)
        return found

    def _same(self, pairs: Iterable[Pair]) -> dict[Pair, float | None]:
        """`Equality.same` in the same way."""
        found: dict[Pair, float | None] = {}
        for name, part in by_task(pairs, mode=lambda pair: pair[1][0]).items():
            found |= self._equality_of(name).same(part)
        return found

    def _equality_of(self, name: str | None) -> Equality:
        return self.equality if name is None else self.own[name]

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
        mode = label_mode(task.mode)
        return [(mode, gold) for gold in task.accepted(label, prompt.text)]

    def _grade(
        self,
        group: Group,
        correct: tuple[bool, ...],
        *,
        ungradable: tuple[int, ...] = (),
        earned: Mapping[int, float] = NOTHING,
    ) -> Grade:
        task = self.tasks[group.prompt.task]
        lost = {*ungradable, *group.vote.ungradable}
        answers = [None if i in lost else a for i, a in enumerate(group.vote.answers)]
        triples = enumerate(zip(group.rollouts, answers, correct, strict=True))
        asked = group.prompt.text
        return Grade(
            correct=correct,
            rewards=tuple(
                earned[i] if i in earned else task.reward(r.text, a, correct=right, question=asked)
                for i, (r, a, right) in triples
            ),
            ungradable=ungradable,
        )
