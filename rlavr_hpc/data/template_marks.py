"""How the chat templates of model families begin and end a prompt, to tell text that carries one.

A text counts as templated by its structure: it begins with a template's first token, or ends with
the opening of the assistant's turn. A question that only mentions such a token does not count.
"""
# ruff: noqa: RUF001  DeepSeek's tokens hold full-width bars

from __future__ import annotations

import re
from dataclasses import dataclass, field

BEGINNINGS = (
    "<s>",
    "<bos>",
    "<|begin_of_text|>",
    "<｜begin▁of▁sentence｜>",
    "<|endoftext|>",
    "<|startoftext|>",
    "<BOS_TOKEN>",
    "[gMASK]<sop>",
)
"""Beginning-of-sequence tokens that may stand before a template's first turn."""
THOUGHT = r"(?:\s*</?think>)*"
TAIL = 100
"""Characters at a text's end in which the opening of an answer stands."""
HEAD_SUSPECT = re.compile(r"[<\[]")
TAIL_SUSPECT = re.compile(r"<\||<｜|\[/INST|\[\||<start_of_turn|<SPECIAL_|<extra_id_|<seed:")
"""What any family's marks have; a text without is not looked at more closely, which saves time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateFamily:
    """One family's marks, as regular expressions."""

    name: str
    turn: str
    """The opening of a turn, whoever's."""
    reply: str
    """The opening of the assistant's turn."""
    rare: bool = True
    """The opening is unlikely in ordinary text: at the beginning it is proof enough."""
    begins: re.Pattern[str] = field(init=False)
    answers: re.Pattern[str] = field(init=False)
    ends: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        """Compile the patterns."""
        first = "|".join(map(re.escape, BEGINNINGS))
        object.__setattr__(self, "begins", re.compile(rf"(?:{first})*\s*(?:{self.turn})"))
        object.__setattr__(self, "answers", re.compile(self.reply))
        object.__setattr__(self, "ends", re.compile(rf"(?:{self.reply}){THOUGHT}\s*\Z"))


FAMILIES = (
    TemplateFamily(
        name="Phi-4",
        turn=r"<\|im_start\|>\w+<\|im_sep\|>",
        reply=r"<\|im_start\|>assistant<\|im_sep\|>",
    ),
    TemplateFamily(
        name="Kimi",
        turn=r"<\|im_(?:system|user)\|>\w+<\|im_middle\|>",
        reply=r"<\|im_assistant\|>assistant<\|im_middle\|>",
    ),
    TemplateFamily(
        name="ChatML (Qwen and others)",
        turn=r"<\|im_start\|>",
        reply=r"<\|im_start\|>assistant",
    ),
    TemplateFamily(
        name="Llama 3",
        turn=r"<\|start_header_id\|>",
        reply=r"<\|start_header_id\|>assistant<\|end_header_id\|>",
    ),
    TemplateFamily(
        name="Llama 4",
        turn=r"<\|header_start\|>",
        reply=r"<\|header_start\|>assistant<\|header_end\|>",
    ),
    TemplateFamily(
        name="Gemma",
        turn=r"<start_of_turn>|<\|turn>",
        reply=r"(?:<start_of_turn>|<\|turn>)model",
    ),
    TemplateFamily(
        name="DeepSeek",
        turn=r"<｜User｜>|<｜Assistant｜>",
        reply=r"<｜Assistant｜>",
    ),
    TemplateFamily(
        name="harmony (gpt-oss)",
        turn=r"<\|start\|>\w+<\|message\|>",
        reply=r"<\|start\|>assistant(?:<\|channel\|>\w+)?(?:<\|message\|>)?",
    ),
    TemplateFamily(
        name="Granite",
        turn=r"<\|start_of_role\|>",
        reply=r"<\|start_of_role\|>assistant[^<]*<\|end_of_role\|>",
    ),
    TemplateFamily(
        name="Command R",
        turn=r"<\|START_OF_TURN_TOKEN\|>",
        reply=r"<\|CHATBOT_TOKEN\|>(?:<\|START_\w+\|>)?",
    ),
    TemplateFamily(
        name="Seed-OSS",
        turn=r"<seed:bos>",
        reply=r"<seed:bos>assistant",
    ),
    TemplateFamily(
        name="Nemotron",
        turn=r"<SPECIAL_1[01]>\w+|<extra_id_[01]>\w+",
        reply=r"<SPECIAL_11>Assistant|<extra_id_1>Assistant",
    ),
    TemplateFamily(
        name="EXAONE",
        turn=r"\[\|(?:system|user)\|\]",
        reply=r"\[\|assistant\|\]",
        rare=False,
    ),
    TemplateFamily(
        name="Llama 2 or Mistral",
        turn=r"\[SYSTEM_PROMPT\]|\[INST\]",
        reply=r"\[/INST\]",
        rare=False,
    ),
    TemplateFamily(
        name="Phi, Zephyr or GLM",
        turn=r"<\|(?:system|user)\|>",
        reply=r"<\|assistant\|>",
        rare=False,
    ),
)
"""The first that fits gives its name, so the more special stand first."""
BARE_BEGINNINGS = {
    "<|begin_of_text|>": "Llama 3",
    "<｜begin▁of▁sentence｜>": "DeepSeek",
}
"""Beginnings of a sequence that no ordinary text begins with, though no turn may follow."""
ASKED = re.compile(
    r"^[^\S\n]*(?:###[^\S\n]*)?(?:User|Human|USER|Instruction|Question)[^\S\n]*:", re.MULTILINE
)
TO_ANSWER = re.compile(r"(?:Assistant|ASSISTANT|Response|Answer)\s*:" + THOUGHT + r"\s*\Z")
"""The end of a dialogue that waits for its answer, as prompts of base models are written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedTemplate:
    """The template that a text carries."""

    family: str
    whole: bool
    """It has both a first turn and the opening of the answer, so nothing is missing."""


def carried_template(text: str) -> CarriedTemplate | None:
    """The template that a text carries already; None for ordinary text."""
    text = text.lstrip()
    if not (HEAD_SUSPECT.match(text) or TAIL_SUSPECT.search(text[-TAIL:])):
        return None
    for family in FAMILIES:
        found = _carried(family, text)
        if found is not None:
            return found
    for beginning, name in BARE_BEGINNINGS.items():
        if text.startswith(beginning):
            return CarriedTemplate(family=name, whole=False)
    return None


def _carried(family: TemplateFamily, text: str) -> CarriedTemplate | None:
    begins = family.begins.match(text)
    whole = bool(begins and family.answers.search(text, begins.start()))
    if whole or (begins and family.rare):
        return CarriedTemplate(family=family.name, whole=whole)
    if family.ends.search(text[-TAIL:]) and re.search(family.turn, text):
        return CarriedTemplate(family=family.name, whole=True)
    return None


def is_plain_dialogue(text: str) -> bool:
    """Whether a text is a dialogue in plain words (`User: ... Assistant:`)."""
    end = text.rstrip()[-TAIL:]
    return TO_ANSWER.search(end) is not None and ASKED.search(text) is not None
