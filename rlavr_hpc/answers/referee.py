"""Votes among rollouts and verdicts against labels.

The seam of the hardened grader: whatever decides equality, the trainer only knows `Referee`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rlavr_hpc.answers.tasks import Task, find_task
from rlavr_hpc.types import Group, Label, Prompt, Rollout, Vote


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a group's rollouts compare with one reference answer (a label, or the vote)."""

    correct: tuple[bool, ...]
    """(G,) whether a rollout's answer equals the reference."""
    rewards: tuple[float, ...]
    """(G,) what it earns for that; binary for math, graded for knights-and-knaves."""


class Referee:
    """Reads answers, clusters them, and compares them with references."""

    def vote(self, prompt: Prompt, rollouts: Sequence[Rollout]) -> Group:
        """The group of a prompt's rollouts with their vote."""
        task = find_task(prompt.task)
        answers = tuple(task.extract(rollout.text, prompt.text) for rollout in rollouts)
        vote = Vote(answers=answers, clusters=cluster(answers, task))
        return Group(prompt=prompt, rollouts=tuple(rollouts), vote=vote)

    def against_vote(self, group: Group) -> Verdict:
        """Verdict by the majority; without a vote nobody is right."""
        return _verdict(group, group.vote.majority)

    def against_label(self, group: Group, label: str) -> Verdict:
        """Verdict by a true answer; each cluster is compared once."""
        task = find_task(group.prompt.task)
        gold = task.gold(label, group.prompt.text)
        right: set[int] = set()
        for members in group.vote.clusters:
            answer = group.vote.answers[members[0]]
            if answer is not None and task.same(gold, answer):
                right.update(members)
        return _verdict(group, tuple(i in right for i in range(len(group.rollouts))))

    def judge(self, groups: Sequence[Group], labels: Mapping[str, Label]) -> dict[str, Verdict]:
        """Verdicts of the groups that have a label, by prompt id."""
        return {
            group.prompt.id: self.against_label(group, labels[group.prompt.id].answer)
            for group in groups
            if group.prompt.id in labels
        }


def cluster(answers: Sequence[str | None], task: Task) -> tuple[tuple[int, ...], ...]:
    """Indices of equal answers, larger cluster first, then the one whose first member came first.

    Each answer is compared with the first member of each cluster, in order of appearance, so
    clusters are disjoint and do not depend on anything but the answers and their order.
    """
    clusters: list[list[int]] = []
    by_text: dict[str, list[int]] = {}
    for index, answer in enumerate(answers):
        if answer is None:
            continue
        found = by_text.get(answer) or next(
            (c for c in clusters if task.same(answers[c[0]] or "", answer)), None
        )
        if found is None:
            found = []
            clusters.append(found)
        found.append(index)
        by_text[answer] = found
    return tuple(tuple(c) for c in sorted(clusters, key=lambda c: (-len(c), c[0])))


def _verdict(group: Group, correct: tuple[bool, ...]) -> Verdict:
    task = find_task(group.prompt.task)
    triples = zip(group.rollouts, group.vote.answers, correct, strict=True)
    return Verdict(
        correct=correct,
        rewards=tuple(task.reward(r.text, a, correct=right) for r, a, right in triples),
    )
