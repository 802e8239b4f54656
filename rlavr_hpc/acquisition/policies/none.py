"""Buy nothing: majority vote only (TTRL), the run that collapses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rlavr_hpc.types import Group, Selection, View


@dataclass(frozen=True, slots=True)
class NonePolicy:
    """Never buys."""

    def choose(self, candidates: Sequence[Group], view: View) -> Selection:
        """Nothing."""
        return Selection(selected=())
