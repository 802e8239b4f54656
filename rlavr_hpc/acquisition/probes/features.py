"""What the probes see of a group, and what its label teaches them (method, section 3).

Shapes: N groups, G rollouts, D hidden size, P = D + 1 + G prompt features, C = G + 1 classes: how
many rollouts outside the vote are right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch

from rlavr_hpc.types import Group, LabelledGroup, View

UNKNOWN = -100
"""A target that no verdict has told: `torch.nn.functional.cross_entropy` leaves it out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """Groups before their labels are bought."""

    prompt_NP: torch.Tensor
    """The prompt's state, share of parsable answers, cluster sizes / G in falling order."""
    responses_NGD: torch.Tensor
    lengths_NG: torch.Tensor
    """Response lengths over the limit, clipped to [0, 1]."""
    outside_NG: torch.Tensor
    """True for a parsable response outside the winning cluster."""
    allowed_NC: torch.Tensor
    """Counts that are possible: 0 and the sizes of the clusters that lost."""
    majority_N: torch.Tensor
    """Size of the winning cluster; 0 without a vote."""

    @property
    def shape(self) -> dict[str, int]:
        """Hidden size and group size."""
        return {"hidden": self.responses_NGD.shape[2], "group_size": self.responses_NGD.shape[1]}

    @property
    def responses_and_lengths_NGF(self) -> torch.Tensor:
        """(N, G, D + 1)."""
        return torch.cat([self.responses_NGD, self.lengths_NG.unsqueeze(-1)], dim=-1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Groups with what their labels said."""

    features: Features
    right_N: torch.Tensor
    """1 where the vote is right, else 0."""
    correct_NG: torch.Tensor
    """1 for a correct response, else 0; UNKNOWN where a verdict leaves it open."""
    elsewhere_N: torch.Tensor
    """Correct responses outside the vote, 0 when the vote is right; UNKNOWN where it is open."""

    def __len__(self) -> int:
        """How many."""
        return len(self.right_N)

    def tensors(self) -> dict[str, torch.Tensor]:
        """All of it, by name."""
        names = [field.name for field in fields(Features)]
        return {
            **{name: getattr(self.features, name) for name in names},
            "right_N": self.right_N,
            "correct_NG": self.correct_NG,
            "elsewhere_N": self.elsewhere_N,
        }

    @classmethod
    def of(cls, tensors: dict[str, torch.Tensor]) -> Examples:
        """The inverse of `tensors`."""
        rest = dict(tensors)
        labels = {name: rest.pop(name) for name in ("right_N", "correct_NG", "elsewhere_N")}
        return cls(features=Features(**rest), **labels)

    def take(self, rows: Sequence[int]) -> Examples:
        """Some of them, in this order."""
        index = torch.tensor(rows, dtype=torch.long)
        return Examples.of({name: column[index] for name, column in self.tensors().items()})

    def counted(self) -> Examples | None:
        """Those whose correct responses outside the vote are known; None without any."""
        rows = (self.elsewhere_N != UNKNOWN).nonzero().flatten().tolist()
        return self.take(rows) if rows else None


def joined(parts: Sequence[Examples]) -> Examples:
    """Several batches as one."""
    columns = [part.tensors() for part in parts]
    return Examples.of({name: torch.cat([c[name] for c in columns]) for name in columns[0]})


def features_of(groups: Sequence[Group], view: View) -> Features:
    """The probes' inputs.

    Args:
        groups: with their votes.
        view: holds the policy's states of them and the limit on a response's length.
    """
    count, size = len(groups), len(groups[0].rollouts)
    hidden = [view.hidden[group.prompt.id] for group in groups]
    shares = np.zeros((count, 1 + size), dtype=np.float32)
    outside = np.zeros((count, size), dtype=bool)
    allowed = np.zeros((count, size + 1), dtype=bool)
    allowed[:, 0] = True
    for i, group in enumerate(groups):
        clusters = group.vote.clusters
        sizes = [len(members) for members in clusters]
        shares[i, 0] = sum(sizes) / size
        shares[i, 1 : 1 + len(sizes)] = np.asarray(sizes, dtype=np.float32) / size
        outside[i, [member for members in clusters[1:] for member in members]] = True
        allowed[i, sizes[1:]] = True
    tokens = [[len(rollout.token_ids) for rollout in group.rollouts] for group in groups]
    lengths = np.clip(np.asarray(tokens, dtype=np.float32) / view.max_response_tokens, 0.0, 1.0)
    prompts = np.concatenate([np.stack([h.prompt_D for h in hidden]), shares], axis=1)
    return Features(
        prompt_NP=torch.from_numpy(prompts.astype(np.float32)),
        responses_NGD=torch.from_numpy(np.stack([h.responses_GD for h in hidden])),
        lengths_NG=torch.from_numpy(lengths.astype(np.float32)),
        outside_NG=torch.from_numpy(outside),
        allowed_NC=torch.from_numpy(allowed),
        majority_N=torch.tensor([sum(group.vote.majority) for group in groups]),
    )


def examples_of(labelled_groups: Sequence[LabelledGroup], view: View) -> Examples:
    """What bought labels and verdicts teach about their groups; `view` as for `features_of`."""
    votes = [(labelled.group.vote, labelled.correct) for labelled in labelled_groups]
    examples = Examples(
        features=features_of([labelled.group for labelled in labelled_groups], view),
        right_N=torch.tensor([int(vote.is_right(correct)) for vote, correct in votes]),
        correct_NG=torch.tensor([[int(c) for c in correct] for _, correct in votes]),
        elsewhere_N=torch.tensor([vote.correct_elsewhere(correct) for vote, correct in votes]),
    )
    for row, labelled in enumerate(labelled_groups):
        if labelled.unknown:
            examples.correct_NG[row, list(labelled.unknown)] = UNKNOWN
            examples.elsewhere_N[row] = UNKNOWN
    return examples
