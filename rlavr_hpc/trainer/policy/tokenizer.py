"""The tokenizer bundle: the model's folder, its tokenizer and its stop tokens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from transformers import AutoConfig, AutoTokenizer, GenerationConfig, PretrainedConfig

from rlavr_hpc.config.data import DataConfig
from rlavr_hpc.config.model import ModelConfig
from rlavr_hpc.config.rollout import RolloutConfig
from rlavr_hpc.data.chat_template import turn_end
from rlavr_hpc.errors import UserError
from rlavr_hpc.runs.first_start import FirstStart
from rlavr_hpc.testbed.model_cache import ensure_base_model
from rlavr_hpc.testbed.recipes import recipe_of
from rlavr_hpc.trainer.model_folder.architecture import check_architecture, first_line
from rlavr_hpc.trainer.model_folder.folder import check_model_folder
from rlavr_hpc.trainer.model_folder.tokens import (
    check_prompt_tokens,
    check_special_tokens,
    warn_of_unused_tokens,
)
from rlavr_hpc.types import Prompt


class GenerationConfigs(Protocol):
    """The groups of a config that generation needs; evaluation has its own config."""

    @property
    def model(self) -> ModelConfig:
        """The model and its number format."""

    @property
    def data(self) -> DataConfig:
        """Templates of the prompts."""

    @property
    def rollout(self) -> RolloutConfig:
        """The engine and its limits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerBundle:
    """The model's folder and its tokenizer."""

    path: Path | str
    tokenizer: Any
    stop_ids: frozenset[int]
    pad_id: int
    positions: int | None
    """Length of the model's context; None = its config does not say."""
    turn_end: int | None = None
    """The token that ends a turn of the chat template; None = there is none, or it ends nothing."""
    moment: datetime | None = None
    """The date that chat templates write; None = today."""
    rows: int | None = None
    """Of the model's embedding; None = not known."""

    def as_begun(self, first: FirstStart) -> TokenizerBundle:
        """The same with the date of a run's first start, and its rule of where a turn ends."""
        end = self.turn_end if first.stops_at_turn_end else None
        return replace(self, moment=first.moment, turn_end=end)

    def for_chats(self, chats: bool) -> TokenizerBundle:
        """The same with the end of turn among the stop tokens, where prompts are chats."""
        if not chats or self.turn_end is None:
            return self
        return replace(self, stop_ids=self.stop_ids | {self.turn_end})

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text without special tokens."""
        return str(self.tokenizer.decode(list(token_ids), skip_special_tokens=True))

    def check_prompts(self, prompts: Iterable[Prompt]) -> None:
        """Raise UserError where a prompt holds a token that the model's embedding lacks."""
        if self.rows is not None:
            check_prompt_tokens(self.path, self.tokenizer, list(prompts), rows=self.rows)


def load_tokenizer(config: GenerationConfigs, *, quiet: bool) -> TokenizerBundle:
    """Find the model and load its tokenizer, not its weights.

    Raises:
        UserError: there is no such model, its folder holds no whole model, tokenizer and weights do
            not fit together, or it has no end-of-sequence token.
    """
    path = _model_path(config, quiet=quiet)
    options = {"trust_remote_code": config.model.trust_remote_code}
    if isinstance(path, Path):
        check_model_folder(path)
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, **options)
        architecture = AutoConfig.from_pretrained(path, **options)
    except Exception as error:  # of many kinds: the folder's files decide
        raise UserError(f"model.path={path}: cannot be loaded: {first_line(error)}") from error
    rows = check_architecture(path, **options) if isinstance(path, Path) else None
    rows = rows or getattr(architecture.get_text_config(), "vocab_size", None)
    stop_ids = _stop_ids(path, architecture, tokenizer) | set(config.rollout.stop_token_ids)
    _check_limits(config, architecture, path, stop_ids)
    if not stop_ids:
        raise UserError(f"{path} defines no end-of-sequence token; set rollout.stop_token_ids=[ID]")
    pad, end = tokenizer.pad_token_id, turn_end(tokenizer)
    if rows is not None:
        check_special_tokens(path, tokenizer, rows=rows, stop_ids=stop_ids, pad_id=pad)
        if not config.model.built_here:
            warn_of_unused_tokens(path, tokenizer, rows=rows)
    inside = end is not None and end < (rows or architecture.vocab_size)
    known = config.data.stop_at_turn_end and inside
    return TokenizerBundle(
        path=path,
        tokenizer=tokenizer,
        stop_ids=frozenset(stop_ids),
        pad_id=min(stop_ids) if pad is None else pad,
        positions=getattr(architecture, "max_position_embeddings", None),
        turn_end=end if known else None,
        rows=rows,
    )


def _check_limits(
    config: GenerationConfigs,
    architecture: PretrainedConfig,
    path: Path | str,
    stop_ids: set[int],
) -> None:
    positions = getattr(architecture, "max_position_embeddings", None)
    asked = config.rollout.max_prompt_tokens + config.rollout.max_response_tokens
    if positions is not None and asked > positions:
        raise UserError(
            f"{path} has a context of {positions} tokens, but rollout.max_prompt_tokens + "
            f"rollout.max_response_tokens is {asked}; lower one of them"
        )
    unknown = sorted(i for i in stop_ids if not 0 <= i < architecture.vocab_size)
    if unknown:
        raise UserError(f"stop token {unknown[0]} is not in the vocabulary of {path}")


def _model_path(config: GenerationConfigs, *, quiet: bool) -> Path | str:
    model = config.model
    if model.built_here:
        return ensure_base_model(recipe_of(model, config.data), quiet=quiet)
    assert model.path is not None
    path = Path(model.path).expanduser()
    return path if path.exists() else model.path


def _stop_ids(path: Path | str, architecture: Any, tokenizer: Any) -> set[int]:  # noqa: ANN401
    try:
        generation = GenerationConfig.from_pretrained(path)
    except OSError:
        generation = GenerationConfig.from_model_config(architecture)
    found = generation.eos_token_id
    ids = set(found) if isinstance(found, list) else {found}
    return {int(i) for i in (*ids, tokenizer.eos_token_id) if i is not None}
