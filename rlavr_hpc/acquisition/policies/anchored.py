"""Anchored votes: train on what the model believed at first, where bought labels confirm it.

Why. Training on the present vote feeds on itself: a vote that training has made wrong is trained
on as readily as a right one, and agrees with itself more and more. On the testbed a policy that
trusts exactly the right votes reaches full supervision whatever labels it buys, and one whose
trusted votes are right 80% of the time loses; so what matters is less which votes to correct than
which answers to train on. The initial model's votes are the best evidence there is, and they do
not move: they are the *anchors* (frozen pseudo-labels, as in SRT, arXiv 2505.21444).

1. *Survey.* For `survey_steps` steps nothing is trained. Each prompt's vote at first sight becomes
   its anchor, and labels are bought at random among votes that agree enough to be worth trusting:
   unbiased evidence of where anchors are right, while features do not drift.
2. *Trust.* A kernel ridge regression on what the model showed at first sight (hidden states, vote)
   predicts whether an anchor is right. Anchors above `threshold` are trained on as labels would
   be, whatever the present vote says. A prompt whose own label was bought is judged by the others
   (left out), so that no label is used twice.
3. *Buy.* Afterwards labels go to untrusted prompts with the largest gap (CAG) that the present
   clusters allow: majority and runner-up both large.

A prompt first seen after the survey is anchored then, by the policy of that moment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch

from rlavr_hpc.acquisition.cag import cag
from rlavr_hpc.acquisition.policy_protocol import choose_top
from rlavr_hpc.acquisition.probes.kernel import Array, fit
from rlavr_hpc.acquisition.probes.projection import projected
from rlavr_hpc.errors import CheckpointError
from rlavr_hpc.types import FloatArray, Group, LabelledGroup, Selection, View

STREAM = 23
"""Keeps these draws apart from every other use of the run seed."""
UNKNOWN = 0.5
"""Belief in an anchor nothing is known about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """A prompt at first sight."""

    answer: str | None
    """Of the winning cluster; None without a vote."""
    vote_3: FloatArray
    """Majority ratio, share of the runner-up, answer entropy."""
    prompt_K: FloatArray
    """Hidden state at the prompt's last token, projected."""
    response_K: FloatArray
    """Mean over the winning cluster of the states at the responses' last tokens, projected."""


@dataclass(slots=True, kw_only=True)
class AnchoredPolicy:
    """See the module."""

    needs_hidden: ClassVar[bool] = True
    learns_verdicts: ClassVar[bool] = True

    survey_steps: int = 10
    """Steps without training, in which anchors are set and labels are bought at random."""
    threshold: float = 0.6
    """Predicted chance of being right from which on an anchor is trained on."""
    min_ratio: float = 0.3
    """Majority ratio below which a first vote is neither surveyed nor trusted."""
    ridge: float = 1.0
    """Noise of the regression: how many like examples it takes to move a belief half the way."""
    labels_kept: int = 1024
    """Newest labels that the regression learns from."""
    projection: int = 256
    """Wider hidden states are projected to so many directions, drawn at random once."""
    _begun: int | None = field(init=False, default=None, repr=False)
    """The first step this policy has seen; not the run's where another one came before it."""
    _anchors: dict[str, Anchor] = field(init=False, default_factory=dict, repr=False)
    _right: dict[str, float] = field(init=False, default_factory=dict, repr=False)
    """Prompt id -> whether its anchor is right, by its label; the newest last."""

    def __post_init__(self) -> None:
        """Check ranges."""
        if self.survey_steps < 0:
            raise ValueError("survey_steps must not be negative")
        if not 0 <= self.min_ratio <= 1:
            raise ValueError(f"min_ratio={self.min_ratio} is outside [0, 1]")
        for name in ("ridge", "labels_kept", "projection"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0")

    def choose(self, candidates: Sequence[Group], view: View) -> Selection:
        """Set anchors; then survey, or trust and buy among the rest."""
        if not candidates:
            return Selection(selected=())
        self._begun = self._begun or view.step_key.step
        for group in candidates:
            if group.prompt.id not in self._anchors:
                self._anchors[group.prompt.id] = self._anchor(group, view)
        draws = dict(
            zip((g.prompt.id for g in candidates), _draws(view, len(candidates)), strict=True)
        )
        if view.step_key.step < self._begun + self.survey_steps:
            scores = {p: draw + self._is_clear(p) for p, draw in draws.items()}
            selected = choose_top(scores, quota=view.quota).selected
            return Selection(selected=selected, scores=scores, skip_update=True)
        beliefs = self._beliefs([group.prompt.id for group in candidates])
        gate = sorted(
            (p for p in beliefs if beliefs[p] >= self.threshold and self._is_clear(p)),
            key=lambda p: -beliefs[p],
        )
        scores = {group.prompt.id: possible_cag(group) for group in candidates}
        untrusted = {p: score for p, score in scores.items() if p not in set(gate)}
        return Selection(
            selected=choose_top(untrusted, quota=view.quota).selected,
            scores=scores,
            gate=tuple(gate),
            trusted=tuple(gate),
            pseudo={p: str(self._anchors[p].answer) for p in gate},
        )

    def learn(self, labelled_groups: Sequence[LabelledGroup], view: View) -> Mapping[str, float]:
        """Remember what labels say of the anchors they can be compared with."""
        for labelled in labelled_groups:
            name = labelled.group.prompt.id
            answer = self._anchors[name].answer
            given = enumerate(zip(labelled.group.vote.answers, labelled.correct, strict=True))
            verdicts = [
                correct
                for i, (text, correct) in given
                if text is not None and text == answer and i not in labelled.unknown
            ]
            if verdicts:
                self._right.pop(name, None)
                self._right[name] = float(verdicts[0])
        return {}

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        anchors = list(self._anchors.values())
        return {
            "names": list(self._anchors),
            "answers": [anchor.answer for anchor in anchors],
            "columns": {
                name: torch.from_numpy(np.stack([getattr(a, name) for a in anchors]))
                for name in ("vote_3", "prompt_K", "response_K")
                if anchors
            },
            "right": dict(self._right),
            "begun": self._begun,
        }

    def load(self, state: Mapping[str, Any], *, seed: int) -> None:
        """Continue from a checkpoint.

        Raises:
            CheckpointError: it is none of this policy.
        """
        self._anchors, self._right, self._begun = {}, {}, None
        if not state:
            return
        try:
            columns = {name: tensor.numpy() for name, tensor in state["columns"].items()}
            self._anchors = {
                name: Anchor(answer=answer, **{key: rows[i] for key, rows in columns.items()})
                for i, (name, answer) in enumerate(
                    zip(state["names"], state["answers"], strict=True)
                )
            }
            self._right, self._begun = dict(state["right"]), state["begun"]
        except (KeyError, ValueError, AttributeError, TypeError) as error:
            raise CheckpointError(f"the saved anchors do not fit: {error!r}") from error

    def _anchor(self, group: Group, view: View) -> Anchor:
        hidden, vote = view.hidden[group.prompt.id], group.vote
        if self._anchors:
            width = len(next(iter(self._anchors.values())).prompt_K)
            if width != min(len(hidden.prompt_D), self.projection):
                raise CheckpointError(
                    f"the anchors of the checkpoint have {width} features, this model gives "
                    f"{len(hidden.prompt_D)}; restore the model, or start a new run"
                )
        winners = list(vote.clusters[0]) if vote.clusters else slice(None)
        second = len(vote.clusters[1]) if len(vote.clusters) > 1 else 0
        return Anchor(
            answer=vote.winner,
            vote_3=np.array(
                [vote.majority_ratio, second / len(vote.answers), vote.entropy], dtype=np.float32
            ),
            prompt_K=projected(hidden.prompt_D, directions=self.projection),
            response_K=projected(hidden.responses_GD[winners].mean(0), directions=self.projection),
        )

    def _is_clear(self, name: str) -> bool:
        anchor = self._anchors[name]
        return anchor.answer is not None and float(anchor.vote_3[0]) >= self.min_ratio

    def _beliefs(self, names: Sequence[str]) -> dict[str, float]:
        """How likely each prompt's anchor is right; its own label, if bought, does not count."""
        labelled = list(self._right)[-self.labels_kept :]
        if not labelled:
            return dict.fromkeys(names, UNKNOWN)
        rows = dict(zip(self._anchors, self._features(), strict=True))
        fitted = fit(
            np.stack([rows[name] for name in labelled]),
            np.array([self._right[name] for name in labelled]),
            ridge=self.ridge,
            centre=UNKNOWN,
        )
        predicted = fitted.predict(np.stack([rows[name] for name in names])).tolist()
        left_out = dict(zip(labelled, fitted.left_out().tolist(), strict=True))
        return {p: left_out.get(p, b) for p, b in zip(names, predicted, strict=True)}

    def _features(self) -> Array:
        """(all anchors, F): each block standardized, and both hidden blocks weighing as one."""
        anchors = list(self._anchors.values())
        blocks = []
        for name, weight in (("prompt_K", None), ("response_K", None), ("vote_3", 1.0)):
            rows_NK = np.stack([getattr(anchor, name) for anchor in anchors]).astype(np.float64)
            scaled_NK = (rows_NK - rows_NK.mean(0)) / (rows_NK.std(0) + 1e-6)
            blocks.append(scaled_NK * (weight or rows_NK.shape[1] ** -0.5))
        return np.concatenate(blocks, axis=1)


def possible_cag(group: Group) -> float:
    """CAG if the vote were wrong and the runner-up right: what a label may at most be worth."""
    sizes = [len(members) for members in group.vote.clusters]
    return cag(
        majority=sizes[0] if sizes else 0,
        correct_elsewhere=sizes[1] if len(sizes) > 1 else 0,
        group_size=len(group.rollouts),
    )


def _draws(view: View, count: int) -> list[float]:
    entropy = [view.step_key.seed, view.step_key.branch, STREAM, view.step_key.step]
    draws: list[float] = (
        np.random.default_rng(np.random.SeedSequence(entropy)).random(count).tolist()
    )
    return draws
