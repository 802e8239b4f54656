"""The probes' memory of bought labels, and what of it is trained on again."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch

from rlavr_hpc.acquisition.probes.features import UNKNOWN, Examples, joined


class Replay:
    """The newest `size` examples, in buffers that are written round and round."""

    def __init__(self, size: int) -> None:
        """Empty."""
        self._size = size
        self._buffers: dict[str, torch.Tensor] = {}
        self._count = self._next = 0

    def __len__(self) -> int:
        """How many it holds."""
        return self._count

    def add(self, examples: Examples) -> None:
        """Remember examples; the oldest are forgotten."""
        fewer = range(max(0, len(examples) - self._size), len(examples))
        columns = examples.tensors()
        if not self._buffers:
            self._buffers = {
                name: column.new_empty(self._size, *column.shape[1:])
                for name, column in columns.items()
            }
        places = (self._next + torch.arange(len(fewer))) % self._size
        for name, column in columns.items():
            self._buffers[name][places] = column[fewer.start :]
        self._next = (self._next + len(fewer)) % self._size
        self._count = min(self._size, self._count + len(fewer))

    def uniform(self, count: int, rng: np.random.Generator) -> list[int]:
        """Rows of `count` different examples, all alike in chance; fewer when there are fewer."""
        return [int(row) for row in rng.permutation(len(self))[:count]]

    def stratified(self, count: int, rng: np.random.Generator) -> list[int]:
        """The same, spread evenly over the numbers of right rollouts outside the vote.

        Examples of which this number is not known are left out.
        """
        if not len(self):
            return []
        shuffled_N = rng.permutation(len(self))
        classes_N = self._buffers["elsewhere_N"][self._places(shuffled_N)].numpy()
        names = np.unique(classes_N[classes_N != UNKNOWN])
        queues = [shuffled_N[classes_N == name][-count:].tolist() for name in names]
        chosen: list[int] = []
        while len(chosen) < count and any(queues):
            for queue in [q for q in queues if q][: count - len(chosen)]:
                chosen.append(queue.pop())
        return chosen

    def with_rows(self, examples: Examples | None, rows: list[int]) -> Examples | None:
        """New examples, and remembered ones after them; None when there are neither."""
        if not rows:
            return examples
        again = self._take(np.asarray(rows))
        return again if examples is None else joined([examples, again])

    def state(self) -> dict[str, torch.Tensor]:
        """All examples, oldest first."""
        return self._take(np.arange(len(self))).tensors() if len(self) else {}

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        """The inverse of `state`."""
        self._buffers, self._count, self._next = {}, 0, 0
        if state:
            self.add(Examples.of(dict(state)))

    def _take(self, rows_N: npt.NDArray[np.int64]) -> Examples:
        places_N = self._places(rows_N)
        return Examples.of({name: column[places_N] for name, column in self._buffers.items()})

    def _places(self, rows_N: npt.NDArray[np.int64]) -> torch.Tensor:
        """Where rows, counted from the oldest, lie in the buffers."""
        return torch.from_numpy((rows_N + self._next - self._count) % self._size)


def class_weights(
    classes_N: torch.Tensor, *, count: int, lowest: float, highest: float
) -> torch.Tensor:
    """(count,) float64 weights frequency^-1/2, with mean 1 over the classes present, then clipped.

    Args:
        classes_N: of the mini-batch; UNKNOWN ones do not count.
        count: how many classes there are; absent ones weigh 0.
        lowest: clips from below.
        highest: clips from above.
    """
    frequency_C = torch.bincount(classes_N[classes_N != UNKNOWN], minlength=count).double()
    present_C = frequency_C > 0
    raw_C = torch.where(present_C, frequency_C.clamp(min=1).rsqrt(), 0.0)
    scaled_C = raw_C / (raw_C.sum() / present_C.sum())
    return torch.where(present_C, scaled_C.clamp(lowest, highest), 0.0)
