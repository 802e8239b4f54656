"""The tokenizer's chat template: rendering, what it refuses, its date and its end of turn."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from jinja2.exceptions import TemplateError, TemplateSyntaxError

from rlavr_hpc.errors import UserError

Turn = dict[str, str]
TODAY = "strftime_now"
"""What templates call to write today's date."""
PROBE = "a7f3"
"""Stands for an answer where the end of a turn is looked for."""
RENDER_ERRORS = (TemplateError, TypeError, ValueError, LookupError, ArithmeticError, AttributeError)
"""What a template raises for messages that it does not take; some call no `raise_exception`."""


class Tokenizer(Protocol):
    """The part of a Hugging Face tokenizer that prompts need."""

    chat_template: Any

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        """Token ids of `text`."""

    def apply_chat_template(self, conversation: list[dict[str, str]], **options: Any) -> Any:  # noqa: ANN401
        """Text of a conversation."""


def render(
    turns: Sequence[Turn],
    tokenizer: Tokenizer,
    *,
    where: str,
    moment: datetime | None = None,
    **options: Any,  # noqa: ANN401
) -> str:
    """The text of a conversation up to where the assistant answers.

    Args:
        turns: role and content of each message.
        tokenizer: has a chat template.
        where: file and row, or the prompt's id, for errors.
        moment: what the template's clock says; None = the machine's clock.
        options: passed to the template.

    Raises:
        UserError: the template refuses the messages, or is broken.
    """
    options = {"add_generation_prompt": True, **options, **_clock(tokenizer, moment)}
    try:
        return str(tokenizer.apply_chat_template(list(turns), tokenize=False, **options))
    except TemplateSyntaxError as error:
        raise UserError(
            f"the model's chat template cannot be read: line {error.lineno}: {error.message}; mend "
            "chat_template.jinja (or chat_template in tokenizer_config.json) in the model's "
            "folder, or leave the template out with data.chat_template=none"
        ) from error
    except RENDER_ERRORS as error:
        roles = ", ".join(turn["role"] for turn in turns)
        raise UserError(
            f"{where}: the model's chat template refuses its messages (roles: {roles}): {error}; "
            f"{_way_out(turns)}"
        ) from error


def _way_out(turns: Sequence[Turn]) -> str:
    if any(turn["role"] in ("system", "developer") for turn in turns):
        return (
            "data.system_role=merge (evaluate: --system-role merge) writes the system message in "
            "front of the user's, for templates that take none"
        )
    return "mend or leave out such rows, or leave the template out with data.chat_template=none"


def template_text(tokenizer: Tokenizer) -> str:
    """The template that is applied to messages; empty where there is none."""
    template = tokenizer.chat_template
    if isinstance(template, Mapping):  # several by name
        template = template.get("default", "")
    return str(template or "")


def template_fingerprint(tokenizer: Tokenizer) -> str:
    """Hash of the template's text."""
    return hashlib.sha256(template_text(tokenizer).encode()).hexdigest()[:16]


def is_dated(tokenizer: Tokenizer) -> bool:
    """Whether the template asks for today's date."""
    return TODAY in template_text(tokenizer)


def _clock(tokenizer: Tokenizer, moment: datetime | None) -> dict[str, Callable[[str], str]]:
    if moment is None or not is_dated(tokenizer):
        return {}
    return {TODAY: moment.replace(tzinfo=None).strftime}  # as the machine's clock says it


def rendered_example(tokenizer: Tokenizer) -> str:
    """A short conversation as the template writes it; empty where it takes none."""
    try:
        return render([{"role": "user", "content": PROBE}], tokenizer, where="an example")
    except UserError:
        return ""


def turn_end(tokenizer: Any) -> int | None:  # noqa: ANN401
    """The token by which the template ends the assistant's turn; None where it has none.

    It is what follows an answer in a rendered conversation, if that is one of the tokenizer's
    added tokens.
    """
    if not template_text(tokenizer):
        return None
    turns = [{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": PROBE}]
    try:
        text = render(turns, tokenizer, where="an example", add_generation_prompt=False)
    except UserError:
        return None
    _, found, tail = text.rpartition(PROBE)
    ids = tokenizer.encode(tail.lstrip(), add_special_tokens=False) if found else []
    added = {*tokenizer.added_tokens_decoder, *tokenizer.all_special_ids}
    return int(ids[0]) if ids and ids[0] in added else None
