"""A micro-batch as tensors: padded rows, or one row without padding.

Shapes: N samples, B rows, T tokens of a row; B = N padded, B = 1 packed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch

from rlavr_hpc.training_types import Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequences:
    """Token ids, and the positions of prompts and responses in them.

    There is no attention mask: padding is on the right, where causal attention never looks.
    """

    ids_BT: torch.Tensor
    position_BT: torch.Tensor | None
    """Within the sample, so that attention sees where the next sample begins; None = in the row."""
    response_BT: torch.Tensor
    """True where the token belongs to a response: it is scored by the position before it."""
    prompt_end_N: torch.Tensor
    """Index of each prompt's last token among all B x T."""
    end_N: torch.Tensor
    """The same of each response's last token."""


def padded(samples: Sequence[Sample], *, pad_id: int, device: torch.device) -> Sequences:
    """One row a sample, padded on the right to the longest."""
    prompt_N, length_N = _lengths(samples)
    column_T = np.arange(length_N.max())
    token_NT = column_T < length_N[:, None]
    ids_NT = np.full(token_NT.shape, pad_id)
    ids_NT[token_NT] = _token_ids(samples, int(length_N.sum()))
    start_N = np.arange(len(samples)) * len(column_T)
    return Sequences(
        ids_BT=torch.from_numpy(ids_NT).to(device),
        position_BT=None,
        response_BT=torch.from_numpy(token_NT & (column_T >= prompt_N[:, None])).to(device),
        prompt_end_N=torch.from_numpy(start_N + prompt_N - 1).to(device),
        end_N=torch.from_numpy(start_N + length_N - 1).to(device),
    )


def packed(samples: Sequence[Sample], *, device: torch.device) -> Sequences:
    """All samples one after another in a single row; positions keep attention within a sample.

    A response's first token is scored at its prompt's last token, so no sample affects the scores
    of the next.
    """
    prompt_N, length_N = _lengths(samples)
    end_N = length_N.cumsum()
    start_N = end_N - length_N
    position_T = np.arange(end_N[-1]) - start_N.repeat(length_N)
    response_T = position_T >= prompt_N.repeat(length_N)
    ids_T = _token_ids(samples, int(end_N[-1]))
    return Sequences(
        ids_BT=torch.from_numpy(ids_T[None]).to(device),
        position_BT=torch.from_numpy(position_T[None]).to(device),
        response_BT=torch.from_numpy(response_T[None]).to(device),
        prompt_end_N=torch.from_numpy(start_N + prompt_N - 1).to(device),
        end_N=torch.from_numpy(end_N - 1).to(device),
    )


def _lengths(samples: Sequence[Sample]) -> tuple[np.ndarray, np.ndarray]:
    """(N,) each: tokens of the prompts, and of prompts with responses."""
    prompt_N = np.array([len(s.prompt_ids) for s in samples])
    return prompt_N, prompt_N + [len(s.response_ids) for s in samples]


def _token_ids(samples: Sequence[Sample], count: int) -> np.ndarray:
    """(count,) of all samples in order."""
    parts = chain.from_iterable((s.prompt_ids, s.response_ids) for s in samples)
    return np.fromiter(chain.from_iterable(parts), dtype=np.int64, count=count)
