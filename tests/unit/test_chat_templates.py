"""Chat templates: what they refuse, one system message, the date they write, their end of turn."""
# ruff: noqa: RUF001  DeepSeek's tokens hold full-width bars

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from rlavr_hpc.config.data import ChatTemplate, DataConfig, SystemRole
from rlavr_hpc.data.chat_template import is_dated, template_fingerprint, turn_end
from rlavr_hpc.data.templates import Prepared, prepare, turns_of
from rlavr_hpc.errors import UserError
from rlavr_hpc.types import Message, Question
from tests.support.tiny_models import ALTERNATING, CHATML, DATED, NO_SYSTEM, byte_tokenizer

EARLY = datetime(2024, 2, 29, 23, 59, 58, tzinfo=UTC)


def asked(*turns: tuple[str, str], where: str = "d.parquet, row 7") -> Question:
    messages = tuple(Message(role=role, content=content) for role, content in turns)
    return Question(id="q", messages=messages, text=turns[-1][1], task="math", where=where)


def made(
    template: str | None,
    *questions: Question,
    config: DataConfig | None = None,
    moment: datetime | None = None,
) -> Prepared:
    return prepare(
        questions,
        byte_tokenizer(template),
        config=config or DataConfig(),
        max_tokens=999,
        moment=moment,
    )


def contents(question: Question, **settings: Any) -> list[tuple[str, str]]:  # noqa: ANN401
    return [(t["role"], t["content"]) for t in turns_of(question, DataConfig(**settings))]


SYSTEM, ASK = ("system", "Be terse."), ("user", "1+1?")


@pytest.mark.parametrize(
    ("turns", "settings", "expected"),
    [
        ([ASK], {}, [ASK]),
        ([SYSTEM, ASK], {}, [SYSTEM, ASK]),
        ([ASK], {"system_prompt": "Think."}, [("system", "Think."), ASK]),
        ([SYSTEM, ASK], {"system_prompt": "Think."}, [("system", "Think.\n\nBe terse."), ASK]),
        ([SYSTEM, ("system", "In French."), ASK], {}, [("system", "Be terse.\n\nIn French."), ASK]),
        ([ASK, SYSTEM], {}, [SYSTEM, ASK]),
        ([("system", ""), ASK], {"system_prompt": "Think."}, [("system", "Think."), ASK]),
    ],
)
def test_there_is_one_system_message_the_runs_before_the_rows(
    turns: list[tuple[str, str]], settings: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert contents(asked(*turns), **settings) == expected


@pytest.mark.parametrize(
    ("turns", "settings", "expected"),
    [
        ([SYSTEM, ASK], {}, [("user", "Be terse.\n\n1+1?")]),
        ([ASK], {"system_prompt": "Think."}, [("user", "Think.\n\n1+1?")]),
        ([SYSTEM, ASK], {"system_prompt": "Hm."}, [("user", "Hm.\n\nBe terse.\n\n1+1?")]),
        ([("developer", "Be terse."), ASK], {}, [("user", "Be terse.\n\n1+1?")]),
        ([ASK], {}, [ASK]),
        ([SYSTEM], {}, [("user", "Be terse.")]),
        (
            [SYSTEM, ASK, ("assistant", "2"), ("user", "2+2?")],
            {},
            [("user", "Be terse.\n\n1+1?"), ("assistant", "2"), ("user", "2+2?")],
        ),
    ],
)
def test_system_messages_can_stand_in_front_of_the_users(
    turns: list[tuple[str, str]], settings: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert contents(asked(*turns), system_role=SystemRole.merge, **settings) == expected


def test_a_template_that_refuses_the_system_role_is_told_with_row_and_way_out() -> None:
    question = asked(SYSTEM, ASK)
    with pytest.raises(UserError) as told:
        made(NO_SYSTEM, question)
    text = str(told.value)
    assert text.startswith("d.parquet, row 7: the model's chat template refuses its messages")
    assert "roles: system, user" in text
    assert "System role not supported" in text
    assert "data.system_role=merge" in text
    merged = made(NO_SYSTEM, question, config=DataConfig(system_role=SystemRole.merge))
    assert merged.prompts[0].text == (
        "<|im_start|>user\nBe terse.\n\n1+1?<|im_end|>\n<|im_start|>assistant\n"
    )


@pytest.mark.parametrize(
    ("template", "turns", "message"),
    [
        (ALTERNATING, [ASK, ("user", "2+2?")], "Roles must alternate"),
        (ALTERNATING, [("assistant", "Hi"), ASK], "Roles must alternate"),
        ("{{ messages[5]['content'] + 'x' }}", [ASK], "refuses its messages"),
        ("{{ messages[0]['content'] + 1 }}", [ASK], "refuses its messages"),
        ("{{ 1 // 0 }}", [ASK], "refuses its messages"),
        ("{% if x %}", [ASK], "cannot be read: line 1"),
        ("{{ nothing.of.this }}", [ASK], "refuses its messages"),
    ],
)
def test_no_other_refusal_is_a_traceback(
    template: str, turns: list[tuple[str, str]], message: str
) -> None:
    with pytest.raises(UserError, match=message) as told:
        made(template, asked(*turns))
    assert "data.chat_template=none" in str(told.value)


def test_a_row_without_a_place_is_named_by_its_id() -> None:
    with pytest.raises(UserError, match=r"^prompt 'q': the model's chat template refuses"):
        made(NO_SYSTEM, asked(SYSTEM, ASK, where=""))


MENTION = "A log holds <|im_start|> once and [INST] twice. How many marks?"
WHOLE = "<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n"


def plain(*texts: str) -> list[Question]:
    return [Question(id=str(n), messages=(), text=t, task="math") for n, t in enumerate(texts)]


def test_one_row_that_mentions_a_mark_does_not_turn_the_template_off() -> None:
    found = made(CHATML, *plain(MENTION, "1+1?", "1+2?"))
    assert found.templated
    assert all(p.text.startswith("<|im_start|>user\n") for p in found.prompts)
    assert found.prompts[0].text.count("A log holds") == 1


def test_a_whole_template_among_plain_rows_is_left_as_it_is() -> None:
    found = made(CHATML, *plain(WHOLE, "1+1?", "1+2?"))
    assert found.templated
    assert [p.text for p in found.prompts[:2]] == [WHOLE, WHOLE.replace("2+2?", "1+1?")]
    always = DataConfig(chat_template=ChatTemplate.apply)
    twice = made(CHATML, *plain(WHOLE, "1+1?", "1+2?"), config=always)
    assert twice.prompts[0].text == f"<|im_start|>user\n{WHOLE}<|im_end|>\n<|im_start|>assistant\n"


def test_most_rows_decide() -> None:
    half = made(CHATML, *plain(WHOLE, WHOLE, "1+1?", "1+2?"))
    most = made(CHATML, *plain(WHOLE, WHOLE, WHOLE, "1+2?"))
    assert (half.templated, most.templated) == (True, False)
    assert most.prompts[3].text == "1+2?"
    assert (half.chats, most.chats) == (True, True)


def test_a_foreign_template_is_no_chat_of_this_model() -> None:
    foreign = "<｜begin▁of▁sentence｜><｜User｜>1+1?<｜Assistant｜><think>\n"
    found = made(CHATML, *plain(foreign, foreign))
    assert (found.templated, found.chats) == (False, False)
    assert found.prompts[0].text == foreign
    assert not made(None, *plain("1+1?")).chats


def test_the_date_in_a_prompt_is_the_one_that_is_given() -> None:
    found = made(DATED, asked(ASK), moment=EARLY)
    assert found.prompts[0].text.startswith("<|im_start|>system\nToday is 29 Feb 2024<|im_end|>")
    today = made(DATED, asked(ASK)).prompts[0].text
    assert "29 Feb 2024" not in today
    assert made(CHATML, asked(ASK), moment=EARLY).prompts == made(CHATML, asked(ASK)).prompts


def test_dates_are_written_as_transformers_writes_them() -> None:
    template = "{{ strftime_now('%Y-%m-%d %H:%M:%S|%Z|') }} {{ messages[0]['content'] }}"
    found = made(template, asked(ASK), moment=EARLY)
    assert found.prompts[0].text == "2024-02-29 23:59:58|| 1+1?"


def test_a_template_with_a_fixed_date_keeps_it() -> None:
    template = (
        "{%- if not date_string is defined %}{%- set date_string = '26 Jul 2024' %}{%- endif %}"
        "{{ date_string }}: {{ messages[0]['content'] }}"
    )
    assert made(template, asked(ASK), moment=EARLY).prompts[0].text == "26 Jul 2024: 1+1?"


def test_what_asks_for_the_date_is_known_and_templates_have_fingerprints() -> None:
    tokenizers = [byte_tokenizer(t) for t in (CHATML, DATED, None, CHATML + " ")]
    assert [is_dated(t) for t in tokenizers] == [False, True, False, False]
    assert len({template_fingerprint(t) for t in tokenizers}) == 4


TURN_ENDS = {
    CHATML: "<|im_end|>",
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}": "<|end|>",
    "{% for m in messages %}{{ m.role }}: {{ m.content | trim }}{% if m.role == 'assistant' %}"
    "{{ eos_token }}{% endif %}{% endfor %}": "<|endoftext|>",
    "{% for m in messages %}<start_of_turn>{{ m.role }}\n{{ m.content }} <end_of_turn>\n"
    "{% endfor %}": "<end_of_turn>",
    "{% for m in messages %}{% if m.role == 'assistant' %}<think>\n\n</think>\n\n{% endif %}"
    "{{ m.content }}<|im_end|>\n{% endfor %}": "<|im_end|>",
    "{% for m in messages %}<|start|>{{ m.role }}<|message|>{{ m.content }}"
    "{% if m.role == 'assistant' %}<|return|>{% else %}<|end|>{% endif %}{% endfor %}": (
        "<|return|>"
    ),
    "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}": None,
    "{% for m in messages %}{{ m.role }}: {{ m.content }}###\n{% endfor %}": None,
    "{% for m in messages %}{% if m.role == 'assistant' %}{{ raise_exception('no') }}{% endif %}"
    "{{ m.content }}<|im_end|>{% endfor %}": None,
}


@pytest.mark.parametrize(("template", "end"), TURN_ENDS.items())
def test_the_end_of_turn_is_the_token_behind_an_answer(template: str, end: str | None) -> None:
    special = (
        *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|end|>", "<|return|>"),
        *("<start_of_turn>", "<end_of_turn>"),
    )
    tokenizer = byte_tokenizer(template, special=special)
    expected = None if end is None else tokenizer.convert_tokens_to_ids(end)
    assert turn_end(tokenizer) == expected


def test_without_a_template_no_turn_ends() -> None:
    assert turn_end(byte_tokenizer(None)) is None
