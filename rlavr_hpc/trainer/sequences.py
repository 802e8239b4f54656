"""A micro-batch as tensors: padded rows, or one row without padding.

Shapes: N samples, B rows, T tokens of a row; B = N padded, B = 1 packed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch

from rlavr_hpc.types import Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequences:
    """Token ids, and where in them is what."""

    ids_BT: torch.Tensor
    attention_BT: torch.Tensor | None
    """1 where there is a token; None = everywhere."""
    position_BT: torch.Tensor | None
    """Within its own sample: from 0 up again tells attention where the next one begins; None = in
    the row."""
    response_BT: torch.Tensor
    """True where the token belongs to a response: it is scored by the position before it."""
    prompt_end_N: torch.Tensor
    """Index of each prompt's last token among all B x T."""
    end_N: torch.Tensor
    """The same of each response's last token."""


def padded(samples: Sequence[Sample], *, pad_id: int, device: torch.device) -> Sequences:
    """One row a sample, padded on the right to the longest."""
    width = max(len(s.prompt_ids) + len(s.response_ids) for s in samples)
    ids, attention, response = [], [], []
    for s in samples:
        prompt, answer = len(s.prompt_ids), len(s.response_ids)
        padding = width - prompt - answer
        ids.append([*s.prompt_ids, *s.response_ids, *[pad_id] * padding])
        attention.append([1] * (prompt + answer) + [0] * padding)
        response.append([False] * prompt + [True] * answer + [False] * padding)
    starts = range(0, width * len(samples), width)
    return Sequences(
        ids_BT=torch.tensor(ids, device=device),
        attention_BT=torch.tensor(attention, device=device),
        position_BT=None,
        response_BT=torch.tensor(response, device=device),
        **_ends(samples, starts, device),
    )


def packed(samples: Sequence[Sample], *, device: torch.device) -> Sequences:
    """All samples one after another in a single row; attention stays within each by its positions.

    A response's first token is scored by its prompt's last, so no sample scores its neighbour's.
    """
    lengths = [len(s.prompt_ids) + len(s.response_ids) for s in samples]
    ids = [token for s in samples for token in (*s.prompt_ids, *s.response_ids)]
    positions = [position for length in lengths for position in range(length)]
    response = [
        flag for s in samples for flag in [False] * len(s.prompt_ids) + [True] * len(s.response_ids)
    ]
    starts = [0, *accumulate(lengths)][:-1]
    return Sequences(
        ids_BT=torch.tensor([ids], device=device),
        attention_BT=None,
        position_BT=torch.tensor([positions], device=device),
        response_BT=torch.tensor([response], device=device),
        **_ends(samples, starts, device),
    )


def _ends(
    samples: Sequence[Sample], starts: Sequence[int], device: torch.device
) -> dict[str, torch.Tensor]:
    """Where prompts and responses end, for samples that begin at `starts`."""
    prompt = [start + len(s.prompt_ids) - 1 for s, start in zip(samples, starts, strict=True)]
    end = [last + len(s.response_ids) for s, last in zip(samples, prompt, strict=True)]
    return {
        "prompt_end_N": torch.tensor(prompt, device=device),
        "end_N": torch.tensor(end, device=device),
    }
