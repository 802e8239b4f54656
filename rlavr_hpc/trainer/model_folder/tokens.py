"""Whether every token that the model is given has a row in its embedding. No torch.

A tokenizer may have more tokens than that: models with unused ones at its end are common, and
harmless. What is refused is a token that will be looked up.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rlavr_hpc.errors import UserError
from rlavr_hpc.trainer.model_folder.weight_files import listed
from rlavr_hpc.types import Prompt

WAY_OUT = (
    "take the tokenizer that belongs to these weights, or give the model as many rows "
    "(resize_token_embeddings) and train those"
)

log = logging.getLogger(__name__)


def check_special_tokens(
    path: Path | str,
    tokenizer: Any,  # noqa: ANN401
    *,
    rows: int,
    stop_ids: Iterable[int],
    pad_id: int | None,
) -> None:
    """Check the tokens that end or fill every response.

    Args:
        path: the model's.
        tokenizer: its tokenizer.
        rows: of the model's embedding.
        stop_ids: tokens that end a response.
        pad_id: the token that fills a batch; None = a stop token does.

    Raises:
        UserError: one of them has no row.
    """
    used = {int(i): "stop token" for i in stop_ids}
    if pad_id is not None:
        used.setdefault(int(pad_id), "padding token")
    unknown = [f"{what} {_named(tokenizer, i)}" for i, what in sorted(used.items()) if i >= rows]
    if unknown:
        raise UserError(
            f"{path}: {listed(unknown)} has no row in the model's embedding, which has {rows:,}; "
            f"{WAY_OUT}"
        )


def warn_of_unused_tokens(path: Path | str, tokenizer: Any, *, rows: int) -> None:  # noqa: ANN401
    """Log a warning of tokens that the tokenizer added and the embedding has no row for."""
    beyond = sorted(i for i in tokenizer.get_added_vocab().values() if i >= rows)
    if beyond:
        log.warning(
            "%s: %d tokens of its tokenizer, %s, have no row in the model's embedding, which has "
            "%d; a prompt with one of them would be refused",
            path,
            len(beyond),
            listed([_named(tokenizer, i) for i in beyond]),
            rows,
        )


def check_prompt_tokens(
    path: Path | str,
    tokenizer: Any,  # noqa: ANN401
    prompts: Sequence[Prompt],
    *,
    rows: int,
) -> None:
    """Raise UserError where a prompt holds a token without a row; names tokens and prompts."""
    worst = {prompt.id: max(prompt.token_ids, default=0) for prompt in prompts}
    found = [prompt.id for prompt in prompts if worst[prompt.id] >= rows]
    if not found:
        return
    tokens = sorted({i for p in prompts if worst[p.id] >= rows for i in p.token_ids if i >= rows})
    raise UserError(
        f"{path}: {len(found)} of {len(prompts)} prompts ({listed(found)}) hold tokens without a "
        f"row in the model's embedding, which has {rows:,}: "
        f"{listed([_named(tokenizer, i) for i in tokens])}; {WAY_OUT}"
    )


def _named(tokenizer: Any, token_id: int) -> str:  # noqa: ANN401
    """A token's id with its text, which is printed safely."""
    return f"{token_id} ({str(tokenizer.convert_ids_to_tokens(token_id))!a})"
