"""Buy every label: supervised training, the ceiling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rlavr_hpc.types import Group, Selection, View


@dataclass(frozen=True, slots=True)
class FullPolicy:
    """Buys all candidates in the batch's order, as far as a cap allows."""

    def choose(self, candidates: Sequence[Group], view: View) -> Selection:
        """All of them."""
        return Selection(selected=tuple(group.prompt.id for group in candidates)[: view.quota])
