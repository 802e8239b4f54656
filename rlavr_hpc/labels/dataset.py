"""Labels that the data set holds back: a purchase uncovers one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetLabels:
    """Labels that the data set holds back."""

    answers: Mapping[str, str] = field(default_factory=dict, repr=False)
    cost: float = 1.0

    def reveal(self, prompt_ids: Iterable[str]) -> Mapping[str, str]:
        """The answers the data has."""
        return {p: self.answers[p] for p in prompt_ids if p in self.answers}
