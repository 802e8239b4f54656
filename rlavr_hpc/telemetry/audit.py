"""Oracle diagnostics: numbers that need labels nobody bought. Research only.

They are measured after the step and go to the record alone; a run with them on is bit-identical
to one with them off.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.reduce import Metrics, mean_of, variance_of_mean
from rlavr_hpc.types import Group, Selection, StepKey

Judge = Callable[[Sequence[Group], StepKey], Mapping[str, Sequence[bool]]]
"""(G,) correctness by all labels the data has, by prompt id; prompts without a label left out."""
Gap = Callable[[Group, Sequence[bool]], float]
"""The true CAG of a group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A group and the truth about it."""

    group: Group
    correct: Sequence[bool]
    """(G,)"""

    @property
    def name(self) -> str:
        """The prompt's id."""
        return self.group.prompt.id

    @property
    def vote_right(self) -> bool:
        """Whether the vote is true."""
        return self.group.vote.is_right(self.correct)


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """Compares votes, and what the acquisition policy made of them, with all labels there are."""

    judge: Judge
    gap: Gap

    def measure(
        self,
        groups: Sequence[Group],
        step_key: StepKey,
        *,
        selection: Selection,
        quota: int,
        by_label: Mapping[str, Sequence[bool]] | None = None,
    ) -> Metrics:
        """The step's oracle diagnostics, over the groups whose data has a label.

        Args:
            groups: of the step.
            step_key: the step.
            selection: what the policy chose and believed.
            quota: how many labels it might have bought.
            by_label: prompt id -> (G,) correctness by a label from a live source; None = labels
                are the data's own.
        """
        correct = self.judge(groups, step_key)
        judged = [
            Judged(group=g, correct=correct[g.prompt.id]) for g in groups if g.prompt.id in correct
        ]
        return {
            **_beliefs(judged),
            **_labels(judged, by_label),
            **_trust(judged, selection.trusted),
            **_gate(judged, selection.gate),
            **_counts(judged, selection),
            **self._precision(judged, selection, quota),
        }

    def _precision(self, judged: Sequence[Judged], selection: Selection, quota: int) -> Metrics:
        """Of the chosen, how many are among the `quota` largest gaps on offer, ties included?"""
        gaps = {
            j.name: self.gap(j.group, j.correct)
            for j in judged
            if not selection.scores or j.name in selection.scores
        }
        largest = sorted(gaps.values(), reverse=True)[:quota]
        return {
            names.ORACLE_SELECTION_PRECISION: mean_of(
                gaps[name] >= largest[-1] for name in selection.selected if name in gaps and largest
            )
        }


def _beliefs(judged: Sequence[Judged]) -> Metrics:
    return {
        names.ORACLE_VOTE_ACCURACY: mean_of(j.vote_right for j in judged),
        names.ORACLE_TRUE_REWARD: mean_of(right for j in judged for right in j.correct),
        names.ORACLE_TRUE_REWARD_VARIANCE: variance_of_mean([fmean(j.correct) for j in judged]),
        names.ORACLE_PASS: mean_of(any(j.correct) for j in judged),
        names.ORACLE_REWARD_ACCURACY: mean_of(
            mine == true
            for j in judged
            for mine, true in zip(j.group.vote.majority, j.correct, strict=True)
        ),
        names.ORACLE_REWARD_GAP: mean_of(
            mine - true
            for j in judged
            for mine, true in zip(j.group.vote.majority, j.correct, strict=True)
        ),
    }


def _labels(judged: Sequence[Judged], by_label: Mapping[str, Sequence[bool]] | None) -> Metrics:
    if by_label is None:
        return {}
    return {
        names.ORACLE_LABEL_WRONG: mean_of(
            tuple(by_label[j.name]) != tuple(j.correct) for j in judged if j.name in by_label
        )
    }


def _trust(judged: Sequence[Judged], trusted: Collection[str]) -> Metrics:
    return {
        names.ORACLE_TRUSTED_PRECISION: mean_of(j.vote_right for j in judged if j.name in trusted)
    }


def _gate(judged: Sequence[Judged], gate: Collection[str]) -> Metrics:
    """How well the policy's most believed votes match the right ones."""
    if not gate:
        return {}
    inside = [j.vote_right for j in judged if j.name in gate]
    precision = mean_of(inside)
    recall = mean_of(j.name in gate for j in judged if j.vote_right)
    hits, sizes = 2.0 * sum(inside), len(inside) + sum(j.vote_right for j in judged)
    return {
        names.ORACLE_GATE_PRECISION: precision,
        names.ORACLE_GATE_RECALL: recall,
        names.ORACLE_GATE_F1: mean_of([hits / sizes] if sizes else []),
    }


def _counts(judged: Sequence[Judged], selection: Selection) -> Metrics:
    """Macro recall, over the classes present, of the guessed number of right rollouts elsewhere."""
    guessed = selection.correct_elsewhere
    found: dict[int, list[bool]] = {}
    for j in judged:
        if j.name in guessed and j.name not in selection.trusted:
            true = j.group.vote.correct_elsewhere(j.correct)
            found.setdefault(true, []).append(guessed[j.name] == true)
    return {names.ORACLE_COUNT_RECALL: mean_of(sum(hits) / len(hits) for hits in found.values())}
