"""The probes' memory of bought labels, and what of it is trained on again."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from rlavr_hpc.acquisition.probes.features import Examples, joined


class Replay:
    """The newest `size` examples."""

    def __init__(self, size: int) -> None:
        """Empty."""
        self._size = size
        self._examples: Examples | None = None

    def __len__(self) -> int:
        """How many it holds."""
        return 0 if self._examples is None else len(self._examples)

    def add(self, examples: Examples) -> None:
        """Remember examples; the oldest are forgotten."""
        known = examples if self._examples is None else joined([self._examples, examples])
        newest = range(max(0, len(known) - self._size), len(known))
        self._examples = known.take(newest) if len(newest) < len(known) else known

    def uniform(self, count: int, rng: np.random.Generator) -> list[int]:
        """Rows of `count` different examples, all alike in chance; fewer when there are fewer."""
        return [int(row) for row in rng.permutation(len(self))[:count]]

    def stratified(self, count: int, rng: np.random.Generator) -> list[int]:
        """The same, spread evenly over the numbers of right rollouts outside the vote."""
        if self._examples is None:
            return []
        strata: dict[int, list[int]] = {}
        classes = self._examples.elsewhere_N.tolist()
        for row in rng.permutation(len(self)).tolist():
            strata.setdefault(classes[row], []).append(row)
        queues = [strata[name] for name in sorted(strata)]
        chosen: list[int] = []
        while len(chosen) < count and any(queues):
            for queue in [q for q in queues if q][: count - len(chosen)]:
                chosen.append(queue.pop())
        return chosen

    def with_rows(self, examples: Examples | None, rows: list[int]) -> Examples | None:
        """New examples, and remembered ones after them; None when there are neither."""
        if self._examples is None or not rows:
            return examples
        again = self._examples.take(rows)
        return again if examples is None else joined([examples, again])

    def state(self) -> dict[str, torch.Tensor]:
        """All examples, oldest first."""
        return {} if self._examples is None else self._examples.tensors()

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        """The inverse of `state`."""
        self._examples = Examples.of(dict(state)) if state else None


def class_weights(
    classes_N: torch.Tensor, *, count: int, lowest: float, highest: float
) -> torch.Tensor:
    """(count,) weights frequency^-1/2, scaled to mean 1 over the classes present, then clipped.

    Args:
        classes_N: of the mini-batch.
        count: how many classes there are; absent ones weigh 0.
        lowest: clips from below.
        highest: clips from above.
    """
    frequency_C = torch.bincount(classes_N, minlength=count).float()
    present_C = frequency_C > 0
    raw_C = torch.where(present_C, frequency_C.clamp(min=1).rsqrt(), 0.0)
    scaled_C = raw_C / (raw_C.sum() / present_C.sum())
    return torch.where(present_C, scaled_C.clamp(lowest, highest), 0.0)
