"""The two probes' networks (method, section 3).

Shapes: N groups, G rollouts, P prompt features, F response features, C = G + 1 classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

IMPOSSIBLE = -1e9
"""Logit of a count that no set of losing clusters adds up to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Widths:
    """Sizes of the layers; the defaults are the paper's."""

    prompt: int = 128
    response_inner: int = 64
    response: int = 512
    head: int = 256


class _Branches(nn.Module):
    """A prompt branch and a response branch, both normalizing their input."""

    def __init__(self, *, prompt_features: int, response_features: int, widths: Widths) -> None:
        super().__init__()
        self.prompt = nn.Sequential(
            nn.BatchNorm1d(prompt_features), nn.Linear(prompt_features, widths.prompt), nn.ReLU()
        )
        self.response = nn.Sequential(
            nn.BatchNorm1d(response_features),
            nn.Linear(response_features, widths.response_inner),
            nn.ReLU(),
            nn.Linear(widths.response_inner, widths.response),
            nn.ReLU(),
        )

    def forward(
        self, prompt_NP: torch.Tensor, responses_NGF: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, prompt width) and (N, G, response width)."""
        groups, rollouts = responses_NGF.shape[:2]
        responses = self.response(responses_NGF.flatten(0, 1))
        return self.prompt(prompt_NP), responses.view(groups, rollouts, -1)


def _head(inputs: int, outputs: int, widths: Widths) -> nn.Sequential:
    return nn.Sequential(
        nn.BatchNorm1d(inputs),
        nn.Linear(inputs, widths.head),
        nn.ReLU(),
        nn.Linear(widths.head, outputs),
    )


class VoteProbe(nn.Module):
    """Stage 1: is the vote right? And, as an auxiliary task, is each response?"""

    def __init__(self, *, prompt_features: int, hidden: int, widths: Widths) -> None:
        """`hidden` is D; the response branch also sees the response's length."""
        super().__init__()
        self.branches = _Branches(
            prompt_features=prompt_features, response_features=hidden + 1, widths=widths
        )
        self.head = _head(widths.prompt + widths.response, 2, widths)
        self.pair_head = _head(widths.prompt + widths.response, 2, widths)

    def forward(
        self, prompt_NP: torch.Tensor, responses_NGF: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (N, 2) of a wrong and a right vote, and (N, G, 2) of each response."""
        prompt_NH, responses_NGH = self.branches(prompt_NP, responses_NGF)
        groups, rollouts = responses_NGH.shape[:2]
        vote_N2 = self.head(torch.cat([prompt_NH, responses_NGH.mean(1)], dim=-1))
        prompts_NGH = prompt_NH.unsqueeze(1).expand(-1, rollouts, -1)
        pairs_NGH = torch.cat([prompts_NGH, responses_NGH], dim=-1)
        return vote_N2, self.pair_head(pairs_NGH.flatten(0, 1)).view(groups, rollouts, 2)


class CountProbe(nn.Module):
    """Stage 2: how many rollouts outside the vote are right?"""

    def __init__(self, *, prompt_features: int, hidden: int, classes: int, widths: Widths) -> None:
        """`hidden` is D, `classes` G + 1."""
        super().__init__()
        self.branches = _Branches(
            prompt_features=prompt_features, response_features=hidden, widths=widths
        )
        self.head = _head(widths.prompt + widths.response, classes, widths)

    def forward(
        self,
        prompt_NP: torch.Tensor,
        responses_NGD: torch.Tensor,
        outside_NG: torch.Tensor,
        allowed_NC: torch.Tensor,
    ) -> torch.Tensor:
        """Logits (N, C); only responses outside the vote are looked at.

        The others are zero before they are normalized, so that they count in the statistics of
        batch normalization; the mean is over those outside the vote, and 0 where there are none.
        """
        weight_NG1 = outside_NG.unsqueeze(-1).to(responses_NGD.dtype)
        prompt_NH, responses_NGH = self.branches(prompt_NP, responses_NGD * weight_NG1)
        pooled_NH = (responses_NGH * weight_NG1).sum(1) / weight_NG1.sum(1).clamp(min=1.0)
        logits_NC: torch.Tensor = self.head(torch.cat([prompt_NH, pooled_NH], dim=-1))
        return logits_NC.masked_fill(~allowed_NC, IMPOSSIBLE)
