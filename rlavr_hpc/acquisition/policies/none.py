"""Buy nothing: majority vote only (TTRL), the run that collapses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rlavr_hpc.types import Choice, Group, View


@dataclass(frozen=True, slots=True)
class NonePolicy:
    """Never buys."""

    def choose(self, candidates: Sequence[Group], view: View) -> Choice:
        """Nothing."""
        return Choice(wanted=())
