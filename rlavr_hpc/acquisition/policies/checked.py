"""Checked votes: train on votes that labels, asked again and again, say can be believed.

Why. What decides a run is less which votes are corrected than which are trained on. Every update
disturbs other answers a little, and a vote confirms what it finds: nothing leads back to a right
answer that was lost. First votes do lead back, but are no anchor where many of them are wrong, and
a probe that sees each label once learns more slowly than the model moves. But a label that was
bought can be *asked again* whenever its prompt comes back, at no cost: a few labels keep telling
which of the model's present votes are right, and which of its first votes were.

1. *Survey.* For `survey_steps` steps nothing is trained, and labels are bought at random.
2. *Judge.* Two regressions predict whether a vote is right: one of first votes, to which every
   label ever bought belongs, and one of present votes, in which an example counts the less the
   older it is. A prompt is judged by the labels of others: no label teaches its own prompt twice.
3. *Trust.* A first vote believed at least to `threshold` is trained on, whatever the present vote
   says; else the present vote, if it is. So what labels have taught is trusted where the first
   votes were wrong, and what interference destroyed is restored where they were right.
4. *Buy.* A share `random_share` of the labels goes to random votes, so that right ones are seen;
   the rest to untrusted prompts whose label is expected to teach most.

Prior art of its parts: frozen pseudo-labels (SRT, arXiv 2505.21444), teachers that change slowly
(Co-rewarding, 2508.00410), penalties on votes that are not believed (RESTRAIN, 2510.02172).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch

from rlavr_hpc.acquisition.policy_protocol import choose_top
from rlavr_hpc.acquisition.probes.evidence import Regression, ToldAnswers, row_of
from rlavr_hpc.errors import CheckpointError
from rlavr_hpc.types import FloatArray, Group, LabelledGroup, Selection, View

STREAM = 29
"""Keeps these draws apart from every other use of the run seed."""
UNDECIDED = 0.5
"""Belief in a vote about which nothing is known."""


@dataclass(frozen=True, slots=True)
class FirstVote:
    """A prompt at first sight."""

    step: int
    answer: str | None
    """Of the winning cluster; None without a vote."""
    ratio: float
    """Majority ratio."""
    row_F: FloatArray


@dataclass(slots=True, kw_only=True)
class CheckedPolicy:
    """See the module."""

    needs_hidden: ClassVar[bool] = True
    learns_verdicts: ClassVar[bool] = True

    survey_steps: int = 10
    """Steps without training, in which labels are bought at random."""
    threshold: float = 0.8
    """Predicted chance of being right from which on a vote is trained on."""
    min_ratio: float = 0.25
    """Majority ratio below which a vote is neither surveyed nor trusted."""
    ridge: float = 1.0
    """Noise of the regression: how many like examples it takes to move a belief half the way."""
    half_life: float = 20.0
    """Steps after which an example's noise has doubled."""
    examples_kept: int = 512
    """Newest examples that the regression learns from."""
    random_share: float = 0.25
    """Share of the labels that is bought at random."""
    projection: int = 256
    """Wider hidden states are projected to so many directions, drawn at random once."""
    _begun: int | None = field(init=False, default=None, repr=False)
    """The first step this policy has seen; not the run's where another one came before it."""
    _known: ToldAnswers = field(init=False, default_factory=ToldAnswers, repr=False)
    _first: dict[str, FirstVote] = field(init=False, default_factory=dict, repr=False)
    _first_right: Regression = field(init=False, repr=False)
    _present_right: Regression = field(init=False, repr=False)
    _present_gain: Regression = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check ranges."""
        if self.survey_steps < 0:
            raise ValueError("survey_steps must not be negative")
        for name in ("ridge", "half_life", "examples_kept", "projection"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0")
        for name in ("threshold", "min_ratio", "random_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}={getattr(self, name)} is outside [0, 1]")
        self._forget()

    def choose(self, candidates: Sequence[Group], view: View) -> Selection:
        """Survey; then trust and buy by what the labels so far say of first and present votes."""
        if not candidates:
            return Selection(selected=())
        step = view.step_key.step
        self._begun = self._begun or step
        rows = {group.prompt.id: self._row(group, view) for group in candidates}
        for group in candidates:
            first = FirstVote(
                step, group.vote.winner, group.vote.majority_ratio, rows[group.prompt.id]
            )
            self._first.setdefault(group.prompt.id, first)
            self._ask(group, rows[group.prompt.id], step=step)
        clear = {g.prompt.id for g in candidates if g.vote.majority_ratio >= self.min_ratio}
        draws = _draws(view, len(rows))
        lots = {p: draw + (p in clear) for p, draw in zip(rows, draws, strict=True)}
        if step < self._begun + self.survey_steps:
            selected = choose_top(lots, quota=view.quota).selected
            return Selection(selected=selected, scores=lots, skip_update=True)
        by_lot = sum(draw < self.random_share for draw in _draws(view, view.quota, of=1))
        drawn = choose_top(lots, quota=by_lot).selected
        pseudo = self._believed(candidates, rows, step=step)
        gains = self._present_gain.predict(rows, step=step)
        trusted = tuple(p for p in pseudo if p not in drawn)
        rest = {p: gain for p, gain in gains.items() if p not in pseudo and p not in drawn}
        bought = choose_top(rest, quota=view.quota - len(drawn)).selected
        return Selection(
            selected=(*drawn, *bought),
            scores={p: 1.0 if p in pseudo else max(0.0, gain) for p, gain in gains.items()},
            gate=tuple(pseudo),
            trusted=trusted,
            pseudo={p: pseudo[p] for p in trusted},
        )

    def learn(self, labelled_groups: Sequence[LabelledGroup], view: View) -> Mapping[str, float]:
        """Remember what the labels say of each answer, and so of first and present votes."""
        for labelled in labelled_groups:
            group = labelled.group
            self._known.learn(labelled)
            row_F = self._row(group, view)
            self._ask(group, row_F, step=view.step_key.step, all_known=not labelled.unknown)
        return {}

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        firsts = list(self._first.values())
        return {
            "begun": self._begun,
            "known": {p: dict(answers) for p, answers in self._known.by_prompt.items()},
            "first": [[p, f.step, f.answer, f.ratio] for p, f in self._first.items()],
            "first_rows": torch.from_numpy(np.stack([f.row_F for f in firsts]))
            if firsts
            else torch.zeros(0, 0),
            "regressions": [one.state() for one in self._regressions],
        }

    def load(self, state: Mapping[str, Any], *, seed: int) -> None:
        """Continue from a checkpoint.

        Raises:
            CheckpointError: it is none of this policy.
        """
        self._forget()
        if not state:
            return
        try:
            self._begun = state["begun"]
            self._known = ToldAnswers({p: dict(a) for p, a in state["known"].items()})
            rows = state["first_rows"].numpy()
            self._first = {
                p: FirstVote(step, answer, ratio, row_F)
                for (p, step, answer, ratio), row_F in zip(state["first"], rows, strict=True)
            }
            for one, saved in zip(self._regressions, state["regressions"], strict=True):
                one.load(saved)
        except (KeyError, ValueError, AttributeError, TypeError) as error:
            raise CheckpointError(f"the saved evidence does not fit: {error!r}") from error

    @property
    def _regressions(self) -> tuple[Regression, ...]:
        return self._first_right, self._present_right, self._present_gain

    def _forget(self) -> None:
        """As at the start of a run."""
        self._begun, self._known, self._first = None, ToldAnswers(), {}
        make = partial(Regression, kept=self.examples_kept, ridge=self.ridge)
        self._first_right = make(half_life=math.inf, centre=UNDECIDED)
        self._present_right = make(half_life=self.half_life, centre=UNDECIDED)
        self._present_gain = make(half_life=self.half_life, centre=0.0)

    def _row(self, group: Group, view: View) -> FloatArray:
        row_F = row_of(group, view.hidden[group.prompt.id], directions=self.projection)
        width = next((len(first.row_F) for first in self._first.values()), len(row_F))
        if width != len(row_F):
            raise CheckpointError(
                f"the evidence of the checkpoint has {width} features, this model gives "
                f"{len(row_F)}; restore the model, or start a new run"
            )
        return row_F

    def _ask(self, group: Group, row_F: FloatArray, *, step: int, all_known: bool = False) -> None:
        """Make examples of what the labels bought so far say of this prompt's votes."""
        name, first = group.prompt.id, self._first[group.prompt.id]
        was_right = self._known.is_right(name, first.answer)
        if was_right is not None and first.ratio >= self.min_ratio:
            self._first_right.add(name, first.step, first.row_F, float(was_right))
        is_right = self._known.is_right(name, group.vote.winner)
        if is_right is not None:
            self._present_right.add(name, step, row_F, float(is_right))
        gain = self._known.gain(group, all_known=all_known)
        if gain is not None:
            self._present_gain.add(name, step, row_F, gain)

    def _believed(
        self, candidates: Sequence[Group], rows: Mapping[str, FloatArray], *, step: int
    ) -> dict[str, str]:
        """Prompt id -> the answer to train on, most believed first; only of those believed."""
        first_rows = {p: self._first[p].row_F for p in rows}
        first = self._first_right.predict(first_rows, step=step)
        present = self._present_right.predict(rows, step=step)
        beliefs: dict[str, float] = {}
        answers: dict[str, str] = {}
        for group in candidates:
            name, vote, anchor = group.prompt.id, group.vote, self._first[group.prompt.id]
            offers = (
                (first[name], anchor.answer, anchor.ratio),
                (present[name], vote.winner, vote.majority_ratio),
            )
            for belief, answer, ratio in offers:
                if answer is not None and ratio >= self.min_ratio and belief >= self.threshold:
                    beliefs[name], answers[name] = belief, answer
                    break
        return {name: answers[name] for name in choose_top(beliefs, quota=len(beliefs)).selected}


def _draws(view: View, count: int, *, of: int = 0) -> list[float]:
    entropy = [view.step_key.seed, view.step_key.branch, STREAM, view.step_key.step, of]
    draws: list[float] = (
        np.random.default_rng(np.random.SeedSequence(entropy)).random(count).tolist()
    )
    return draws
