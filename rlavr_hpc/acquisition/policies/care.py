"""CARE: buy where the expected correction of the advantages is largest (method, section 3)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, ClassVar

from rlavr_hpc.acquisition.cag import cag
from rlavr_hpc.acquisition.policy_protocol import choose_top
from rlavr_hpc.acquisition.probes.features import Features, examples_of, features_of
from rlavr_hpc.acquisition.probes.networks import Widths
from rlavr_hpc.acquisition.probes.pair import Guess, Probes, Training
from rlavr_hpc.errors import CheckpointError
from rlavr_hpc.types import Group, LabelledGroup, Selection, View


@dataclass(slots=True, kw_only=True)
class CarePolicy:
    """Guesses with two probes whether a vote is right, and how much a label would correct.

    The score of a prompt is sum_y P(y) CAG(x, y), its expected gap given that its vote is wrong.
    The share `gate` of the candidates with the likeliest votes is trusted once `warmup_steps` are
    over: never bought, and with `unlabelled=trusted` trained on their vote. A prompt without a vote
    may be among them; its score is 0, and so it trains nothing.
    """

    needs_hidden: ClassVar[bool] = True
    learns_verdicts: ClassVar[bool] = True

    gate: float = 0.25
    """Share of the candidates that may be trusted."""
    warmup_steps: int = 20
    """Steps during which the probes learn and nobody is trusted."""
    updates: int = 3
    lr: float = 1e-4
    weight_decay: float = 0.0
    clip_grad: float = 1.0
    pair_weight: float = 1.5
    buffer: int = 2048
    replayed: int = 16
    class_weight_min: float = 0.25
    class_weight_max: float = 4.0
    prompt_width: int = 128
    response_inner_width: int = 64
    response_width: int = 512
    head_width: int = 256
    _begun: int | None = field(init=False, default=None, repr=False)
    """The first step this policy has seen; not the run's where another one came before it."""
    _probes: Probes | None = field(init=False, default=None, repr=False)

    def __post_init__(self) -> None:
        """Check ranges."""
        if not 0 <= self.gate <= 1:
            raise ValueError(f"gate={self.gate} is outside [0, 1]")
        for name in ("lr", "clip_grad"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0")
        for setting in fields(self):
            if setting.init and getattr(self, setting.name) < 0:
                raise ValueError(f"{setting.name} must not be negative")

    def choose(self, candidates: Sequence[Group], view: View) -> Selection:
        """The largest expected gaps among those that are not trusted."""
        if not candidates:
            return Selection(selected=())
        features = features_of(candidates, view)
        guess = self._fitting(features, view).guess(features)
        names = [group.prompt.id for group in candidates]
        gate = most_believed(names, guess.vote_right_N, share=self.gate)
        self._begun = self._begun or view.step_key.step
        trusted = gate if view.step_key.step >= self._begun + self.warmup_steps else ()
        scores = dict(zip(names, expected_gaps(features, guess), strict=True))
        untrusted = {name: scores[name] for name in names if name not in set(trusted)}
        likeliest = [row_C.index(max(row_C)) for row_C in guess.elsewhere_NC]
        return Selection(
            selected=choose_top(untrusted, quota=view.quota).selected,
            scores=scores,
            gate=gate,
            trusted=trusted,
            correct_elsewhere=dict(zip(names, likeliest, strict=True)),
        )

    def learn(self, labelled_groups: Sequence[LabelledGroup], view: View) -> Mapping[str, float]:
        """Train the probes on what the labels just bought say; mean loss by stage.

        A step without a new label trains on replayed ones alone.
        """
        if not labelled_groups:
            return self._probes.learn(None, view.step_key) if self._probes is not None else {}
        examples = examples_of(labelled_groups, view)
        return self._fitting(examples.features, view).learn(examples, view.step_key)

    def state(self) -> dict[str, Any]:
        """For a checkpoint; empty before the first step."""
        return {**self._probes.state(), "begun": self._begun} if self._probes is not None else {}

    def load(self, state: Mapping[str, Any], *, seed: int) -> None:
        """Continue from a checkpoint.

        Raises:
            CheckpointError: the probes in it do not fit these settings.
        """
        self._probes, self._begun = None, None
        if not state:
            return
        try:
            shape, self._begun = dict(state["shape"]), state["begun"]
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"the saved probes do not fit: {error!r}") from error
        self._probes = Probes(self._training, seed=seed, **shape)
        self._probes.load(dict(state))

    @property
    def _training(self) -> Training:
        return Training(
            updates=self.updates,
            lr=self.lr,
            weight_decay=self.weight_decay,
            clip_grad=self.clip_grad,
            pair_weight=self.pair_weight,
            buffer=self.buffer,
            replayed=self.replayed,
            class_weight_min=self.class_weight_min,
            class_weight_max=self.class_weight_max,
            widths=Widths(
                prompt=self.prompt_width,
                response_inner=self.response_inner_width,
                response=self.response_width,
                head=self.head_width,
            ),
        )

    def _fitting(self, features: Features, view: View) -> Probes:
        """The probes; made at the first step, when the model's size is known.

        Raises:
            CheckpointError: the probes were made for another model or group size.
        """
        shape = features.shape
        if self._probes is None:
            self._probes = Probes(self._training, seed=view.step_key.seed, **shape)
        if self._probes.shape != shape:
            raise CheckpointError(
                f"the probes of the checkpoint were made for {self._probes.shape}, this model has "
                f"{shape}; restore the model, or start a new run"
            )
        return self._probes


def most_believed(
    names: Sequence[str], beliefs: Sequence[float], *, share: float
) -> tuple[str, ...]:
    """The ceil(share * N) highest beliefs; ties keep the order of the batch."""
    count = max(0, math.ceil(share * len(names) - 1e-9))
    order = sorted(range(len(names)), key=lambda i: -beliefs[i])  # sorted() is stable
    return tuple(names[i] for i in order[:count])


def expected_gaps(features: Features, guess: Guess) -> list[float]:
    """sum_y P(y) CAG(x, y) of each group: its gap given that its vote is wrong."""
    size = features.shape["group_size"]
    rows = zip(
        features.majority_N.tolist(), features.allowed_NC.tolist(), guess.elsewhere_NC, strict=True
    )
    return [
        sum(
            chance * _gap(majority, count, size)
            for count, (possible, chance) in enumerate(zip(allowed_C, chances_C, strict=True))
            if possible
        )
        for majority, allowed_C, chances_C in rows
    ]


@cache
def _gap(majority: int, elsewhere: int, size: int) -> float:
    return cag(majority=majority, correct_elsewhere=elsewhere, group_size=size)
