"""From questions to prompts: the chat template, the tokens, the length limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from rlavr_hpc.config.data import ChatTemplate, DataConfig, Overlong, SystemRole
from rlavr_hpc.data.chat_template import Tokenizer, Turn, render, rendered_example
from rlavr_hpc.data.template_marks import carried_template
from rlavr_hpc.errors import UserError
from rlavr_hpc.types import Prompt, Question


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Prompts, and how they were made."""

    prompts: tuple[Prompt, ...]
    templated: bool
    """Whether the chat template was put around the questions."""
    overlong: int
    """Prompts left out because they are too long."""
    chats: bool = False
    """Whether the model's template is around the prompts, put there now or by the data: then its
    end of turn ends a response."""


def prepare(
    questions: Sequence[Question],
    tokenizer: Tokenizer,
    *,
    config: DataConfig,
    max_tokens: int,
    templated: bool | None = None,
    moment: datetime | None = None,
) -> Prepared:
    """Template and tokenize questions, in order.

    Args:
        questions: at least one.
        tokenizer: the policy's.
        config: template choice, system prompt, what to do with long prompts.
        max_tokens: longest prompt allowed.
        templated: a decision made for other questions of the same run; None = decide.
        moment: the date that templates write; None = today.

    Raises:
        UserError: a template is asked for that does not exist, or refuses a prompt; or a prompt is
            too long and `data.overlong=error`, or all are; or one tokenizes to nothing.
    """
    if templated is None:
        templated = is_to_be_templated(questions, tokenizer, config)
    prompts = [
        write_prompt(q, tokenizer, config, templated=templated, moment=moment) for q in questions
    ]
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
    return Prepared(
        prompts=kept,
        templated=templated,
        overlong=overlong,
        chats=templated or _is_own_template(questions, tokenizer),
    )


def is_to_be_templated(
    questions: Sequence[Question], tokenizer: Tokenizer, config: DataConfig
) -> bool:
    """Whether the chat template goes around the questions, decided by most of them.

    Raises:
        UserError: a template is asked for that does not exist.
    """
    if config.chat_template is ChatTemplate.none:
        return False
    if config.chat_template is ChatTemplate.apply:
        if not tokenizer.chat_template:
            raise UserError("data.chat_template=apply, but the tokenizer has no chat template")
        return True
    return bool(tokenizer.chat_template) and not most_carry_one(questions)


def most_carry_one(questions: Sequence[Question]) -> bool:
    """Whether more than half of the questions carry a chat template already."""
    return 2 * sum(carried_template(text_of(q)) is not None for q in questions) > len(questions)


def _is_own_template(questions: Sequence[Question], tokenizer: Tokenizer) -> bool:
    """Whether most questions carry the template of this tokenizer's family."""
    if not tokenizer.chat_template:
        return False
    own = carried_template(rendered_example(tokenizer))
    found = [carried_template(text_of(question)) for question in questions]
    same = [c for c in found if c is not None and own is not None and c.family == own.family]
    return 2 * len(same) > len(questions)


def text_of(question: Question) -> str:
    """A question's messages one below the other, or its text."""
    return "\n\n".join([m.content for m in question.messages] or [question.text])


def write_prompt(
    question: Question,
    tokenizer: Tokenizer,
    config: DataConfig,
    *,
    templated: bool,
    moment: datetime | None = None,
) -> Prompt:
    """One prompt, however long.

    Where templates are put around prompts by the program's own choice (`data.chat_template=auto`),
    a prompt that carries a whole one is left as it is.

    Raises:
        UserError: the template refuses the messages.
    """
    carried = carried_template(text_of(question))
    if templated and carried and carried.whole and config.chat_template is ChatTemplate.auto:
        templated = False
    if templated:
        text = _templated(question, tokenizer, config, moment)
    else:
        text = "\n\n".join(filter(None, (config.system_prompt, text_of(question))))
    # a template brings its own beginning-of-sequence token
    bare = not templated and carried is None
    token_ids = tokenizer.encode(text, add_special_tokens=bare)
    return Prompt(id=question.id, text=text, token_ids=tuple(token_ids), task=question.task)


def _templated(
    question: Question, tokenizer: Tokenizer, config: DataConfig, moment: datetime | None
) -> str:
    thinking = {} if config.enable_thinking is None else {"enable_thinking": config.enable_thinking}
    where = question.where or f"prompt {question.id!r}"
    return render(turns_of(question, config), tokenizer, where=where, moment=moment, **thinking)


def turns_of(question: Question, config: DataConfig) -> list[Turn]:
    """A question's messages with one system message at most: the run's before the row's own."""
    turns = [{"role": m.role, "content": m.content} for m in question.messages]
    turns = turns or [{"role": "user", "content": question.text}]
    merged = config.system_role is SystemRole.merge
    gathered = ("system", "developer") if merged else ("system",)
    system = [turn["content"] for turn in turns if turn["role"] in gathered]
    if config.system_prompt:
        system.insert(0, config.system_prompt)
    if not system:
        return turns
    others = [turn for turn in turns if turn["role"] not in gathered]
    text = "\n\n".join(filter(None, system))
    if not merged:
        return [{"role": "system", "content": text}, *others]
    first = next((n for n, turn in enumerate(others) if turn["role"] == "user"), None)
    if first is None:
        return [{"role": "user", "content": text}, *others]
    asked = "\n\n".join(filter(None, (text, others[first]["content"])))
    return [*others[:first], {"role": "user", "content": asked}, *others[first + 1 :]]
