"""Buy nothing: majority vote only (TTRL), the run that collapses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rlavr_hpc.types import Choice, Group, Place


@dataclass(frozen=True, slots=True)
class NonePolicy:
    """Never buys."""

    def choose(self, candidates: Sequence[Group], *, quota: int, place: Place) -> Choice:
        """Nothing."""
        return Choice(wanted=())
