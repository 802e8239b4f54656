"""Groups whose label is pending, kept until it comes, so that probes learn from it at once.

Held on rank 0, only for a policy that learns and a run that goes on without pending labels; part of
the checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from rlavr_hpc.types import (
    Group,
    HiddenStates,
    Prompt,
    ResponseScore,
    Rollout,
    Vote,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredGroup:
    """A group as the policy saw it when its label was ordered."""

    group: Group
    hidden: HiddenStates | None
    scores: tuple[ResponseScore, ...]


@dataclass(slots=True)
class LateLabels:
    """The stored groups by prompt id."""

    groups: dict[str, StoredGroup] = field(default_factory=dict)

    def keep(self, stored: Iterable[StoredGroup]) -> None:
        """Store groups; one of the same prompt takes the place of the last."""
        self.groups.update({one.group.prompt.id: one for one in stored})

    def take(self, prompts: Iterable[str]) -> list[StoredGroup]:
        """The stored groups of these prompts, which are forgotten here."""
        found = (self.groups.pop(prompt, None) for prompt in prompts)
        return [one for one in found if one is not None]

    def state(self) -> list[dict[str, Any]]:
        """Plain containers, numbers and tensors."""
        return [_plain(one) for one in self.groups.values()]

    def load(self, state: Iterable[Mapping[str, Any]]) -> None:
        """Continue from `state`."""
        self.groups = {}
        self.keep(map(_stored, state))


def _plain(one: StoredGroup) -> dict[str, Any]:
    hidden = one.hidden
    states = None if hidden is None else [hidden.prompt_D, hidden.responses_GD]
    return {
        "prompt": asdict(one.group.prompt),
        "rollouts": [asdict(rollout) for rollout in one.group.rollouts],
        "vote": asdict(one.group.vote),
        "scores": [asdict(score) for score in one.scores],
        "hidden": None if states is None else [torch.from_numpy(array) for array in states],
    }


def _stored(values: Mapping[str, Any]) -> StoredGroup:
    hidden = values["hidden"]
    return StoredGroup(
        group=Group(
            prompt=Prompt(**values["prompt"]),
            rollouts=tuple(Rollout(**rollout) for rollout in values["rollouts"]),
            vote=Vote(**values["vote"]),
        ),
        scores=tuple(ResponseScore(**score) for score in values["scores"]),
        hidden=None
        if hidden is None
        else HiddenStates(prompt_D=hidden[0].numpy(), responses_GD=hidden[1].numpy()),
    )
