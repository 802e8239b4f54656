"""From questions to prompts: the chat template, the tokens, the length limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rlavr_hpc.config.data import ChatTemplate, DataConfig, Overlong
from rlavr_hpc.errors import UserError
from rlavr_hpc.types import Prompt, Question

TEMPLATE_MARKS = (
    "<|im_start|>",
    "<|start_header_id|>",
    "<start_of_turn>",
    "<|begin_of_text|>",
    "<|user|>",
    "<|assistant|>",
    "[INST]",
)
"""Text that holds one of these has been through a chat template already."""


class Tokenizer(Protocol):
    """The part of a Hugging Face tokenizer that prompts need."""

    chat_template: Any

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        """Token ids of `text`."""

    def apply_chat_template(self, conversation: list[dict[str, str]], **options: Any) -> Any:  # noqa: ANN401
        """Text of a conversation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Prompts, and how they were made."""

    prompts: tuple[Prompt, ...]
    templated: bool
    """Whether the chat template was put around the questions."""
    overlong: int
    """Prompts left out because they are too long."""


def prepare(
    questions: Sequence[Question],
    tokenizer: Tokenizer,
    *,
    config: DataConfig,
    max_tokens: int,
    templated: bool | None = None,
) -> Prepared:
    """Template and tokenize questions, in order.

    Args:
        questions: at least one.
        tokenizer: the policy's.
        config: template choice, system prompt, what to do with long prompts.
        max_tokens: longest prompt allowed.
        templated: a decision made for other questions of the same run; None = decide.

    Raises:
        UserError: a template is asked for that does not exist, or a prompt is too long and
            `data.overlong=error`, or all are; or one tokenizes to nothing.
    """
    if templated is None:
        templated = _decide(questions, tokenizer, config)
    prompts = [write_prompt(q, tokenizer, config, templated=templated) for q in questions]
    empty = next((p for p in prompts if not p.token_ids), None)
    if empty is not None:
        raise UserError(
            f"prompt {empty.id!r} is no token to this model's tokenizer; check that the tokenizer "
            "belongs to the model"
        )
    kept = tuple(p for p in prompts if len(p.token_ids) <= max_tokens)
    overlong = len(prompts) - len(kept)
    if overlong and (config.overlong is Overlong.error or not kept):
        longest = max(prompts, key=lambda p: len(p.token_ids))
        raise UserError(
            f"{overlong} of {len(prompts)} prompts are longer than rollout.max_prompt_tokens="
            f"{max_tokens} (the longest, {longest.id!r}, has {len(longest.token_ids)} tokens); "
            "raise it, or leave long prompts out with data.overlong=filter"
        )
    return Prepared(prompts=kept, templated=templated, overlong=overlong)


def _decide(questions: Sequence[Question], tokenizer: Tokenizer, config: DataConfig) -> bool:
    if config.chat_template is ChatTemplate.none:
        return False
    if config.chat_template is ChatTemplate.apply:
        if not tokenizer.chat_template:
            raise UserError("data.chat_template=apply, but the tokenizer has no chat template")
        return True
    return bool(tokenizer.chat_template) and not any(_is_marked(q.text) for q in questions[:100])


def _is_marked(text: str) -> bool:
    return any(mark in text for mark in TEMPLATE_MARKS)


def write_prompt(
    question: Question, tokenizer: Tokenizer, config: DataConfig, *, templated: bool
) -> Prompt:
    """One prompt, however long."""
    text = _templated(question, tokenizer, config) if templated else _plain(question, config)
    # a template brings its own beginning-of-sequence token
    bare = not templated and not _is_marked(text)
    token_ids = tokenizer.encode(text, add_special_tokens=bare)
    return Prompt(id=question.id, text=text, token_ids=tuple(token_ids), task=question.task)


def _plain(question: Question, config: DataConfig) -> str:
    turns = [message.content for message in question.messages] or [question.text]
    return "\n\n".join(([config.system_prompt] if config.system_prompt else []) + turns)


def _templated(question: Question, tokenizer: Tokenizer, config: DataConfig) -> str:
    turns = [{"role": m.role, "content": m.content} for m in question.messages]
    turns = turns or [{"role": "user", "content": question.text}]
    if config.system_prompt:
        turns.insert(0, {"role": "system", "content": config.system_prompt})
    thinking = {} if config.enable_thinking is None else {"enable_thinking": config.enable_thinking}
    text = tokenizer.apply_chat_template(
        turns, tokenize=False, add_generation_prompt=True, **thinking
    )
    return str(text)
