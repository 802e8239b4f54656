"""Labels that are asked again: what is known of answers, and a regression on newer examples.

A label tells whether a vote is right not only when it is bought but whenever its prompt comes
back, at no cost. So old labels give new examples of the model as it is.

Shapes: E examples, N rows to predict, F features, D width of a hidden state.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from rlavr_hpc.acquisition.probes.kernel import Array, fit
from rlavr_hpc.acquisition.probes.projection import projected
from rlavr_hpc.types import FloatArray, Group, HiddenStates, LabelledGroup

COUNTS = 3
"""Features of a row that are none of a hidden state."""


def row_of(group: Group, hidden: HiddenStates, *, directions: int) -> FloatArray:
    """Features of a group's vote, shape (2 min(D, K) + 3,).

    The hidden state at the prompt's end, the mean of those at the ends of the responses that voted
    with the majority (of all, without a vote), majority ratio, share of the runner-up, entropy.

    Args:
        group: the group.
        hidden: its states.
        directions: K, wider states are projected to so many directions.
    """
    vote = group.vote
    winners = list(vote.clusters[0]) if vote.clusters else slice(None)
    second = len(vote.clusters[1]) if len(vote.clusters) > 1 else 0
    counts = [vote.majority_ratio, second / len(vote.answers), vote.entropy]
    states = hidden.prompt_D, hidden.responses_GD[winners].mean(0)
    parts = [projected(state_D, directions=directions) for state_D in states]
    row_F: FloatArray = np.concatenate([*parts, np.array(counts)]).astype(np.float32)
    return row_F


@dataclass(slots=True)
class ToldAnswers:
    """Which answers the labels bought so far have called right or wrong, as they were written."""

    by_prompt: dict[str, dict[str, bool]] = field(default_factory=dict)

    def learn(self, labelled: LabelledGroup) -> None:
        """Remember what a label says of each answer of its group."""
        known = self.by_prompt.setdefault(labelled.group.prompt.id, {})
        answers = zip(labelled.group.vote.answers, labelled.correct, strict=True)
        for i, (answer, correct) in enumerate(answers):
            if answer is not None and i not in labelled.unknown:
                known[answer] = bool(correct)

    def is_right(self, prompt_id: str, answer: str | None) -> bool | None:
        """Of a vote; None where no label tells. No vote is not right, if there is a label."""
        known = self.by_prompt.get(prompt_id)
        if known is None:
            return None
        return False if answer is None else known.get(answer)

    def gain(self, group: Group, *, all_known: bool) -> float | None:
        """What a label would teach this group; None where that is unknown.

        0 where the vote is right, else the standard deviation of the true rewards,
        sqrt(q (1 - q)) with a share q of right responses: a group without any teaches nothing.

        Args:
            group: the group.
            all_known: whether a label has judged each of its answers.
        """
        known = self.by_prompt.get(group.prompt.id, {})
        right = self.is_right(group.prompt.id, group.vote.winner)
        if right is None:
            return None
        if right:
            return 0.0
        if not (all_known or any(known.values())):
            return None  # the right answer may be among those that are new
        answers = group.vote.answers
        share = sum(known.get(answer, False) for answer in answers if answer is not None)
        return math.sqrt(share / len(answers) * (1 - share / len(answers)))


@dataclass(slots=True)
class Regression:
    """Kernel ridge regression on the newest examples, the older the noisier."""

    kept: int
    """Newest examples that are remembered."""
    ridge: float
    """Variance of the noise on a new example."""
    half_life: float
    """Steps after which it has doubled; infinity = never."""
    centre: float
    """The prediction where there is no example."""
    _examples: dict[tuple[str, int], tuple[FloatArray, float]] = field(
        init=False, default_factory=dict
    )
    """(prompt id, step) -> row (F,), target."""

    def add(self, prompt_id: str, step: int, row_F: FloatArray, target: float) -> None:
        """Remember an example; a newer one of the same prompt and step replaces it."""
        self._examples.pop((prompt_id, step), None)
        self._examples[prompt_id, step] = row_F, target
        for oldest in list(self._examples)[: -self.kept]:
            del self._examples[oldest]

    def predict(self, rows: Mapping[str, FloatArray], *, step: int) -> dict[str, float]:
        """Prompt id -> prediction, with the examples of the prompt itself left out.

        Args:
            rows: prompt id -> features (F,).
            step: now, against which examples are old.
        """
        if not self._examples or not rows:
            return dict.fromkeys(rows, self.centre)
        keys = list(self._examples)
        examples_EF, rows_NF = scaled(
            np.stack([row_F for row_F, _ in self._examples.values()]), np.stack(list(rows.values()))
        )
        ages_E = np.array([step - then for _, then in keys])
        fitted = fit(
            examples_EF,
            np.array([target for _, target in self._examples.values()]),
            ridge=self.ridge * 2.0 ** (ages_E / self.half_life),
            centre=self.centre,
        )
        own: dict[str, list[int]] = {}
        for i, (prompt_id, _) in enumerate(keys):
            own.setdefault(prompt_id, []).append(i)
        predicted_N = fitted.predict_without(rows_NF, [own.get(name, []) for name in rows])
        return dict(zip(rows, predicted_N.tolist(), strict=True))

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        rows = [row_F for row_F, _ in self._examples.values()]
        return {
            "keys": [[prompt_id, step] for prompt_id, step in self._examples],
            "targets": [target for _, target in self._examples.values()],
            "rows": torch.from_numpy(np.stack(rows)) if rows else torch.zeros(0, 0),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Continue from a checkpoint.

        Raises:
            KeyError, ValueError, TypeError: it is none of this class.
        """
        examples = zip(state["keys"], state["rows"].numpy(), state["targets"], strict=True)
        self._examples = {
            (str(prompt_id), int(step)): (row_F, float(target))
            for (prompt_id, step), row_F, target in examples
        }


def scaled(examples_EF: FloatArray, rows_NF: FloatArray) -> tuple[Array, Array]:
    """Both standardized; the hidden states weigh as two features, the counts as one each."""
    both = np.concatenate([examples_EF, rows_NF]).astype(np.float64)
    both = (both - both.mean(0)) / (both.std(0) + 1e-6)
    both[:, :-COUNTS] /= math.sqrt((both.shape[1] - COUNTS) / 2)
    return both[: len(examples_EF)], both[len(examples_EF) :]
