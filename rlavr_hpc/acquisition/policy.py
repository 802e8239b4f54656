"""What an acquisition policy is, and the one ranking rule they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from rlavr_hpc.types import Choice, Group, View


class AcquisitionPolicy(Protocol):
    """Decides which labels are worth buying before any label of the step is seen."""

    def choose(self, candidates: Sequence[Group], view: View) -> Choice:
        """At most `view.quota` of the candidates, most wanted first."""


def choose_top(scores: Mapping[str, float], *, quota: int) -> Choice:
    """The `quota` highest scores; ties keep the order of the batch."""
    ranked = sorted(scores, key=lambda prompt: -scores[prompt])  # sorted() is stable
    return Choice(wanted=tuple(ranked[:quota]), scores=scores)
