"""Where labels come from. Only `buy.buy_labels` asks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol


class LabelSource(Protocol):
    """Answers for money."""

    @property
    def cost(self) -> float:
        """Of one label."""

    def reveal(self, prompt_ids: Iterable[str]) -> Mapping[str, str]:
        """The true answers of these prompts; a prompt without a label is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetLabels:
    """Labels that the data set holds back."""

    answers: Mapping[str, str] = field(repr=False)
    cost: float = 1.0

    def reveal(self, prompt_ids: Iterable[str]) -> Mapping[str, str]:
        """The answers the data has."""
        return {p: self.answers[p] for p in prompt_ids if p in self.answers}
