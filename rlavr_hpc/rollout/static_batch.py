"""Decoding a batch with Transformers: rows that have ended leave it, the cache grows in place.

Shapes: P prompts, N rows, T tokens of the longest prompt, L tokens of the longest response, V
vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import torch
from transformers import (
    DynamicCache,
    PreTrainedConfig,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)
from transformers.cache_utils import DynamicLayer

from rlavr_hpc.errors import OutOfTimeError
from rlavr_hpc.rollout.engine import Sampling

ENDED_SHARE = 0.0625
"""Share of the rows that must have ended before they are removed; removing moves other rows."""
FIRST_ROOM = 256
"""Tokens that the cache first has room for, unless fewer are requested."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """The drawn tokens; those after a row's first stop token have no meaning."""

    token_NL: torch.Tensor
    logp_NL: torch.Tensor
    """Of each token, after temperature and top-p."""


class Decoder:
    """Draws tokens by inverting the cumulative distribution at given uniform numbers."""

    def __init__(self, model: Any, *, stop_ids: Collection[int], sampling: Sampling) -> None:  # noqa: ANN401
        """A causal language model of Transformers, in evaluation mode."""
        self._model = model
        self._stop_ids = sorted(stop_ids)
        self._warpers = _warpers(sampling)

    @torch.inference_mode()
    def decode(
        self,
        ids_PT: torch.Tensor,
        mask_PT: torch.Tensor,
        prompt_N: torch.Tensor,
        uniform_NL: torch.Tensor,
        *,
        should_abort: Callable[[], bool],
    ) -> Decoded:
        """Responses to left-padded prompts, each read once however many rows answer it.

        Args:
            ids_PT: token ids.
            mask_PT: 1 where there is a token.
            prompt_N: the prompt that each row answers.
            uniform_NL: in [0, 1), one for each token that may be drawn.
            should_abort: asked before every token.

        Raises:
            OutOfTimeError: it returned True.
        """
        device, (rows, longest) = ids_PT.device, uniform_NL.shape
        token_NL = torch.zeros(rows, longest, dtype=torch.long, device=device)
        logp_NL = torch.zeros(rows, longest, device=device)
        stops = torch.tensor(self._stop_ids, device=device)
        cache = _growing_cache(self._model.config, room=ids_PT.shape[1] + longest)
        row_N = torch.arange(rows, device=device)
        running_N = torch.ones(rows, dtype=torch.bool, device=device)
        padded = not bool(mask_PT.all())  # without a mask Transformers need not make one of it
        position_PT = (mask_PT.cumsum(-1) - 1).clamp(min=0)
        logits_PV = self._logits(ids_PT, mask_PT if padded else None, position_PT, cache)
        cache.batch_select_indices(prompt_N)
        logits_NV, mask_NT, position_N1 = (
            tensor[prompt_N] for tensor in (logits_PV, mask_PT, position_PT[:, -1:])
        )
        for step in range(longest):
            if should_abort():
                raise OutOfTimeError("generation was aborted: a stop signal leaves no time")
            token_N, logp_N = self._draw(logits_NV, uniform_NL[row_N, step])
            token_NL[row_N, step], logp_NL[row_N, step] = token_N, logp_N
            running_N &= ~torch.isin(token_N, stops)
            ended = len(row_N) - int(running_N.sum())
            if ended == len(row_N):
                break
            if ended > ENDED_SHARE * len(row_N):
                kept = _running_rows(running_N)
                cache.batch_select_indices(kept)
                columns = (row_N, token_N, mask_NT, position_N1, running_N)
                row_N, token_N, mask_NT, position_N1, running_N = (c[kept] for c in columns)
            if step + 1 == longest:
                break
            position_N1 = position_N1 + 1
            if padded:
                mask_NT = torch.cat([mask_NT, mask_NT.new_ones(len(row_N), 1)], dim=1)
            logits_NV = self._logits(
                token_N.unsqueeze(1), mask_NT if padded else None, position_N1, cache
            )
        return Decoded(token_NL=token_NL, logp_NL=logp_NL)

    def _logits(
        self,
        ids: torch.Tensor,
        mask: torch.Tensor | None,
        position: torch.Tensor,
        cache: Any,  # noqa: ANN401
    ) -> torch.Tensor:
        """(rows, V) after the last token of `ids`, which are added to the cache."""
        logits: torch.Tensor = self._model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=position,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]
        return logits

    def _draw(
        self, logits_NV: torch.Tensor, uniform_N: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        scores_NV = logits_NV.float()
        for warper in self._warpers:
            scores_NV = warper(None, scores_NV)
        logp_NV = scores_NV.log_softmax(-1)
        cumulative_NV = logp_NV.exp().cumsum(-1, dtype=torch.float64)
        reach_N1 = uniform_N.unsqueeze(1) * cumulative_NV[:, -1:]
        chosen_N1 = torch.searchsorted(cumulative_NV, reach_N1, right=True)
        chosen_N1.clamp_(max=logp_NV.shape[1] - 1)
        return chosen_N1.squeeze(1), logp_NV.gather(1, chosen_N1).squeeze(1)


def _warpers(sampling: Sampling) -> list[Any]:
    """Transformers' warpers of the distribution; at temperature 0 one token is left."""
    if sampling.temperature == 0:
        return [TopKLogitsWarper(1)]
    top_p = [TopPLogitsWarper(sampling.top_p)] if sampling.top_p < 1 else []
    warm = [TemperatureLogitsWarper(sampling.temperature)] if sampling.temperature != 1 else []
    return [*warm, *top_p]


def _running_rows(running_N: torch.Tensor) -> torch.Tensor:
    """Indices of the running rows, in an order that leaves most of them where they are.

    Rows from the end replace those that have ended, so that few rows move.
    """
    kept = int(running_N.sum())
    order = torch.arange(kept, device=running_N.device)
    order[~running_N[:kept]] = running_N[kept:].nonzero().squeeze(1) + kept
    return order


class _GrowingLayer(DynamicLayer):
    """Keys and values in buffers that double when full; the plain layer copies them each time."""

    def __init__(self, room: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._room = room
        """Tokens that it will ever hold."""
        self._buffers: list[torch.Tensor] = []

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: object, **__: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        if not self._buffers or end > self._buffers[0].shape[2]:
            news = (key_states, value_states)
            held = self._buffers or news
            room = min(max(2 * end, FIRST_ROOM), self._room)
            self._buffers = [_with_room(tensor[:, :, :start], room) for tensor in held]
        for buffer, new in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[:, :, start:end] = new
        self.keys, self.values = (buffer[:, :, :end] for buffer in self._buffers)
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep these rows, in this order.

        As many rows as there are, or more, are copied. Fewer must be chosen by `_running_rows`;
        then only those that change their position are copied.
        """
        end, kept = self.get_seq_length(), len(indices)
        rows, _, room, _ = self._buffers[0].shape
        if kept >= rows:
            self._buffers = [_with_room(buffer[indices, :, :end], room) for buffer in self._buffers]
        else:
            places = torch.arange(kept, device=indices.device)
            moved = places[indices != places]
            for buffer in self._buffers:
                buffer[moved, :, :end] = buffer[indices[moved], :, :end]
            self._buffers = [buffer[:kept] for buffer in self._buffers]
        self.keys, self.values = (buffer[:, :, :end] for buffer in self._buffers)


def _with_room(held: torch.Tensor, room: int) -> torch.Tensor:
    """A copy with room for `room` tokens."""
    rows, heads, tokens, width = held.shape
    buffer = held.new_empty(rows, heads, room, width)
    buffer[:, :, :tokens] = held
    return buffer


def _growing_cache(config: PreTrainedConfig, *, room: int) -> DynamicCache:
    """Transformers' cache for this model, its plain layers replaced; sliding windows stay."""
    cache = DynamicCache(config=config)
    cache.layers = [
        _GrowingLayer(room) if type(layer) is DynamicLayer else layer for layer in cache.layers
    ]
    return cache
