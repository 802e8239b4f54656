"""The probes' memory of bought labels, and what of it is trained on again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch

from rlavr_hpc.acquisition.probes.features import Example, Features


class Replay:
    """The newest `size` examples."""

    def __init__(self, size: int) -> None:
        """Empty."""
        self._examples: deque[Example] = deque(maxlen=size)

    def __len__(self) -> int:
        """How many it holds."""
        return len(self._examples)

    def add(self, examples: Iterable[Example]) -> None:
        """Remember examples; the oldest are forgotten."""
        self._examples.extend(examples)

    def uniform(self, count: int, rng: np.random.Generator) -> list[Example]:
        """`count` different examples, all alike in chance; fewer when there are fewer."""
        chosen = rng.permutation(len(self._examples))[:count]
        return [self._examples[int(i)] for i in chosen]

    def stratified(
        self, count: int, rng: np.random.Generator, stratum: Callable[[Example], int]
    ) -> list[Example]:
        """`count` different examples, spread evenly over their strata as far as these reach."""
        strata: dict[int, list[int]] = {}
        for index in rng.permutation(len(self._examples)):
            strata.setdefault(stratum(self._examples[int(index)]), []).append(int(index))
        queues = [strata[name] for name in sorted(strata)]
        chosen: list[int] = []
        while len(chosen) < count and any(queues):
            for queue in [q for q in queues if q][: count - len(chosen)]:
                chosen.append(queue.pop())
        return [self._examples[i] for i in chosen]

    def state(self) -> dict[str, torch.Tensor]:
        """All examples, oldest first, as tensors."""
        examples = list(self._examples)
        if not examples:
            return {}
        features = [e.features for e in examples]
        return {
            "prompt": _stacked(f.prompt_P for f in features),
            "responses": _stacked(f.responses_GD for f in features),
            "lengths": _stacked(f.lengths_G for f in features),
            "outside": _stacked(f.outside_G for f in features),
            "allowed": _stacked(f.allowed_C for f in features),
            "majority": torch.tensor([f.majority for f in features]),
            "vote_right": torch.tensor([e.vote_right for e in examples]),
            "correct": _stacked(e.correct_G for e in examples),
            "elsewhere": torch.tensor([e.elsewhere for e in examples]),
        }

    def load(self, state: dict[str, torch.Tensor]) -> None:
        """The inverse of `state`."""
        self._examples.clear()
        if not state:
            return
        arrays = {name: tensor.numpy() for name, tensor in state.items()}
        for i in range(len(arrays["majority"])):
            features = Features(
                prompt_P=arrays["prompt"][i],
                responses_GD=arrays["responses"][i],
                lengths_G=arrays["lengths"][i],
                outside_G=arrays["outside"][i],
                allowed_C=arrays["allowed"][i],
                majority=int(arrays["majority"][i]),
            )
            self._examples.append(
                Example(
                    features=features,
                    vote_right=bool(arrays["vote_right"][i]),
                    correct_G=arrays["correct"][i],
                    elsewhere=int(arrays["elsewhere"][i]),
                )
            )


def _stacked(rows: Iterable[np.ndarray[Any, Any]]) -> torch.Tensor:
    return torch.from_numpy(np.stack(list(rows)))


def class_weights(
    classes: Sequence[int], *, count: int, lowest: float, highest: float
) -> torch.Tensor:
    """(count,) weights frequency^-1/2, scaled to mean 1 over the classes present, then clipped.

    Args:
        classes: of the mini-batch.
        count: how many classes there are; absent ones weigh 0.
        lowest: clips from below.
        highest: clips from above.
    """
    frequency_C = torch.bincount(torch.tensor(classes), minlength=count).float()
    present_C = frequency_C > 0
    raw_C = torch.where(present_C, frequency_C.clamp(min=1).rsqrt(), 0.0)
    scaled_C = raw_C / (raw_C.sum() / present_C.sum())
    return torch.where(present_C, scaled_C.clamp(lowest, highest), 0.0)
