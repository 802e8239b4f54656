"""What an acquisition policy is, and the one ranking rule they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from rlavr_hpc.types import Group, LabelledGroup, Selection, View


class AcquisitionPolicy(Protocol):
    """Decides which labels are worth buying before any label of the step is seen.

    A class variable says what it needs of the policy's scoring forward: `needs_scores` for
    `View.responses`, `needs_hidden` for `View.hidden`.
    """

    def choose(self, candidates: Sequence[Group], view: View) -> Selection:
        """At most `view.quota` of the candidates, most wanted first."""


@runtime_checkable
class LearningPolicy(Protocol):
    """A policy that learns from the labels it has bought; its state is part of a checkpoint.

    With the class variable `learns_verdicts` it also gets groups of which no more is known than
    that their vote is wrong: those with `unknown` responses.
    """

    def choose(self, candidates: Sequence[Group], view: View) -> Selection:
        """As any policy's."""

    def learn(self, labelled_groups: Sequence[LabelledGroup], view: View) -> Mapping[str, float]:
        """Learn from the step's new labels; `view` is that of `choose`. Returns losses by name."""

    def state(self) -> dict[str, Any]:
        """Plain containers, numbers and tensors."""

    def load(self, state: Mapping[str, Any], *, seed: int) -> None:
        """Continue from `state`, or afresh from an empty one.

        Raises CheckpointError when it does not fit.
        """


def choose_top(scores: Mapping[str, float], *, quota: int) -> Selection:
    """The `quota` highest scores; ties keep the order of the batch."""
    ranked = sorted(scores, key=lambda prompt: -scores[prompt])  # sorted() is stable
    return Selection(selected=tuple(ranked[:quota]), scores=scores)
