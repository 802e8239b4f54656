"""Where labels come from. Only `buy.buy_labels` asks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol


class LabelSource(Protocol):
    """Answers for money."""

    @property
    def cost(self) -> float:
        """Of one label."""

    def reveal(self, prompt_ids: Iterable[str]) -> Mapping[str, str]:
        """The true answers of these prompts; a prompt without a label is left out."""
