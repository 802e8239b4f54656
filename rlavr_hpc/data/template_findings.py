"""Findings about chat templates: which one prompts carry, and what ends a response under it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from rlavr_hpc.config.data import ChatTemplate, DataConfig
from rlavr_hpc.data.chat_template import Tokenizer, rendered_example
from rlavr_hpc.data.findings import DataFinding, FindingLevel
from rlavr_hpc.data.prompt_findings import finding
from rlavr_hpc.data.template_marks import carried_template, is_plain_dialogue
from rlavr_hpc.data.templates import text_of
from rlavr_hpc.types import Question

KEYS = "data.chat_template=apply or none decides for all"


def find_templates(
    questions: Sequence[Question], tokenizer: Tokenizer, config: DataConfig, *, templated: bool
) -> list[DataFinding]:
    """Which chat template prompts carry already, and what becomes of them.

    Args:
        questions: of the run.
        tokenizer: the policy's.
        config: template choice and system prompt.
        templated: whether the model's template goes around prompts.
    """
    carried = [(q, c) for q in questions if (c := carried_template(text_of(q))) is not None]
    if not carried:
        return _find_dialogue(questions, templated=templated)
    families = Counter(c.family for _, c in carried)
    names = " and ".join(name for name, _ in families.most_common())
    those = [question for question, _ in carried]
    found = [_find_carried(those, len(questions), names, config, templated=templated)]
    own = carried_template(rendered_example(tokenizer)) if tokenizer.chat_template else None
    foreign = [q for q, c in carried if own is not None and c.family != own.family]
    if foreign and own is not None:
        text = (
            f"{len(foreign)} of {len(questions)} prompts carry the chat template of {names}, and "
            f"the model's own is that of {own.family}: it reads the other's marks as plain text; "
            "take the template off in the file, or use a model of that family"
        )
        found.append(finding("foreign_template", FindingLevel.warning, text, foreign))
    if config.system_prompt and not templated:
        text = (
            f"data.system_prompt would stand before the template that {len(those)} of "
            f"{len(questions)} prompts carry; leave it out, or write it in the file"
        )
        level = FindingLevel.error if len(those) == len(questions) else FindingLevel.warning
        found.append(finding("system_prompt_outside", level, text, those))
    return found


def _find_carried(
    those: Sequence[Question], total: int, names: str, config: DataConfig, *, templated: bool
) -> DataFinding:
    head = f"{len(those)} of {total} prompts carry a chat template already ({names})"
    if not templated:
        if len(those) == total or config.chat_template is ChatTemplate.none:
            text = f"{head}; they are read as they are"
            return finding("templated_already", FindingLevel.note, text, those)
        text = (
            f"{head}, so all are read as they are, without the model's template; the other "
            f"{total - len(those)} have none: {KEYS}, or split the file"
        )
        return finding("templated_in_part", FindingLevel.warning, text, those)
    if config.chat_template is ChatTemplate.apply:
        text = (
            f"{head}, and data.chat_template=apply puts the model's own around it; "
            "data.chat_template=none reads prompts as they are"
        )
        return finding("templated_twice", FindingLevel.warning, text, those)
    whole = sum(c.whole for q in those if (c := carried_template(text_of(q))) is not None)
    text = (
        f"{head}; the model's own goes around the others, {whole} of these are read as they are "
        f"(those with the beginning and the end of a template): {KEYS}"
    )
    return finding("templated_in_part", FindingLevel.warning, text, those)


def _find_dialogue(questions: Sequence[Question], *, templated: bool) -> list[DataFinding]:
    those = [q for q in questions if is_plain_dialogue(text_of(q))]
    if not templated or 2 * len(those) <= len(questions):
        return []
    text = (
        f"{len(those)} of {len(questions)} prompts are a dialogue in plain words (`User: ... "
        "Assistant:`), and the model's chat template goes around it; data.chat_template=none reads "
        "them as they are"
    )
    return [finding("plain_dialogue", FindingLevel.warning, text, those)]


def find_stops(
    tokenizer: Any,  # noqa: ANN401
    *,
    named: Collection[int],
    turn_end: int | None,
    chats: bool,
) -> list[DataFinding]:
    """What ends a response, against the end of turn of the chat template.

    Args:
        tokenizer: the policy's.
        named: stop tokens of the model and the config.
        turn_end: the template's end of turn; None = it has none, or must not stop anything.
        chats: whether prompts are in the model's template.
    """
    if not chats:
        return []
    if turn_end is None:
        text = (
            f"responses end at {written(tokenizer, named)}; no token was added for the end of a "
            "turn of the chat template"
        )
    elif turn_end in named:
        text = f"responses end at {written(tokenizer, named)}, the chat template's end of turn too"
    else:
        text = (
            f"the model names {written(tokenizer, named)} as stop tokens, but its chat template "
            f"ends a turn with {written(tokenizer, [turn_end])}: that ends a response as well "
            "(data.stop_at_turn_end=false leaves it out)"
        )
    return [DataFinding(kind="stop_tokens", level=FindingLevel.note, text=text)]


def written(tokenizer: Any, ids: Collection[int]) -> str:  # noqa: ANN401
    """Tokens by text and id."""
    return ", ".join(f"{tokenizer.convert_ids_to_tokens(i)} ({i})" for i in sorted(ids))


def visible(token_ids: Sequence[int], tokenizer: Any) -> str:  # noqa: ANN401
    """Text of a prompt as the model reads it; each special token stands in «», the rest plain.

    A mark that stands outside «» is ordinary text to the model. The text is data: make it safe for
    a terminal before it is printed.
    """
    special = {*tokenizer.added_tokens_decoder, *tokenizer.all_special_ids}
    parts: list[str] = []
    plain: list[int] = []
    for token in (*token_ids, None):
        if token is not None and token not in special:
            plain.append(token)
            continue
        if plain:
            parts.append(str(tokenizer.decode(plain, skip_special_tokens=False)))
            plain = []
        if token is not None:
            parts.append(f"«{tokenizer.convert_ids_to_tokens(token)}»")
    return "".join(parts)
