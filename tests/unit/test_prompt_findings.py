"""Findings about prompts, and about what ends a response."""
# ruff: noqa: RUF001  DeepSeek's tokens hold full-width bars

from __future__ import annotations

import pytest

from rlavr_hpc.config.data import ChatTemplate, DataConfig
from rlavr_hpc.data.findings import DataFinding, FindingLevel
from rlavr_hpc.data.prompt_findings import find_dropped, find_in_questions, find_too_long
from rlavr_hpc.data.template_findings import find_stops, find_templates, visible
from rlavr_hpc.data.templates import is_to_be_templated, write_prompt
from rlavr_hpc.types import Message, Question
from tests.support.tiny_models import CHATML, byte_tokenizer

CHATML_TEXT = "<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n"
DEEPSEEK_TEXT = "<｜begin▁of▁sentence｜><｜User｜>1+1?<｜Assistant｜><think>\n"


def asked(*texts: str) -> list[Question]:
    return [
        Question(id=f"q{n}", messages=(), text=text, task="math", where=f"d.parquet, row {n}")
        for n, text in enumerate(texts, start=1)
    ]


def chat(*turns: tuple[str, str], name: str = "q") -> Question:
    messages = tuple(Message(role=role, content=content) for role, content in turns)
    return Question(id=name, messages=messages, text=turns[-1][1], task="math")


def carried(texts: list[str], **settings: object) -> list[DataFinding]:
    questions, tokenizer = asked(*texts), byte_tokenizer(CHATML)
    config = DataConfig(**settings)  # type: ignore[arg-type]
    templated = is_to_be_templated(questions, tokenizer, config)
    return find_templates(questions, tokenizer, config, templated=templated)


def told(found: list[DataFinding]) -> list[tuple[str, str, int]]:
    return [(f.kind, str(f.level), f.count) for f in found]


def test_plain_questions_are_worth_no_word() -> None:
    texts = ["1+1?", "A log holds <|user|> twice. How often?"]
    assert carried(texts) == []
    assert find_in_questions(asked(*texts)) == []


def test_the_models_own_template_in_all_rows_is_a_note() -> None:
    [found] = carried([CHATML_TEXT, CHATML_TEXT])
    assert (found.kind, found.level, found.count) == ("templated_already", FindingLevel.note, 2)
    assert "2 of 2 prompts carry a chat template already (ChatML (Qwen and others))" in found.text


def test_rows_templated_in_part_are_counted_and_named_whichever_way_most_decide() -> None:
    [few] = carried(["1+1?", CHATML_TEXT, "1+2?"])
    assert (few.kind, few.level, few.count) == ("templated_in_part", FindingLevel.warning, 1)
    assert few.rows == ("d.parquet, row 2",)
    assert "1 of these are read as they are" in few.text
    [most] = carried([CHATML_TEXT, CHATML_TEXT, "1+2?"])
    assert (most.kind, most.count) == ("templated_in_part", 2)
    assert "the other 1 have none" in most.text


def test_a_foreign_template_is_named_beside_the_models_own() -> None:
    found = carried([DEEPSEEK_TEXT, DEEPSEEK_TEXT])
    assert told(found) == [("templated_already", "note", 2), ("foreign_template", "warning", 2)]
    assert "the chat template of DeepSeek" in found[1].text
    assert "that of ChatML" in found[1].text


def test_a_template_around_a_template_and_a_system_prompt_before_one_are_told() -> None:
    twice = carried([CHATML_TEXT], chat_template=ChatTemplate.apply)
    assert told(twice) == [("templated_twice", "warning", 1)]
    outside = carried([CHATML_TEXT], system_prompt="Be brief.")
    assert told(outside)[1] == ("system_prompt_outside", "error", 1)


def test_dialogues_in_plain_words_are_told_where_a_template_goes_around_them() -> None:
    texts = [f"User: {n}+1?\nAssistant:" for n in range(3)]
    assert told(carried(texts)) == [("plain_dialogue", "warning", 3)]
    assert carried(texts, chat_template=ChatTemplate.none) == []
    assert carried([texts[0], "1+1?"]) == []


@pytest.mark.parametrize(
    "mark",
    [
        *("<image>", "<|image_pad|>", "<|vision_start|>", "<|image_1|>", "<video>", "<audio>"),
        *("<start_of_image>", "[IMG]", '<img src="1.png">'),
    ],
)
def test_a_mark_for_a_picture_is_an_error_in_all_rows_and_a_warning_in_some(mark: str) -> None:
    text = f"{mark}Find x in the figure."
    assert told(find_in_questions(asked(text, text))) == [("media_mark", "error", 2)]
    [found] = find_in_questions(asked("1+1?", text))
    assert (found.level, found.rows) == (FindingLevel.warning, ("d.parquet, row 2",))
    assert mark.split()[0] in found.text


def test_texts_cut_at_one_length_are_told() -> None:
    cut = [f"{n} words and more of them " * 20 for n in range(1, 9)]
    limit = [text[:300] for text in cut]
    assert told(find_in_questions(asked(*limit, "1+1?"))) == [("cut_prompt", "warning", 8)]
    assert find_in_questions(asked(*(text[:299] + "." for text in cut))) == []
    assert find_in_questions(asked(*limit[:2], "1+1?")) == []
    assert find_in_questions(asked(*cut, "1+1?" * 200)) == []


def test_a_prompt_that_ends_with_an_answer_is_told() -> None:
    questions = [chat(("user", "1+1?"), ("assistant", "2")), chat(("user", "1+2?"))]
    assert told(find_in_questions(questions)) == [("answered_prompt", "warning", 1)]
    assert find_in_questions(questions)[0].rows == ("prompt 'q'",)


def test_prompts_left_out_for_their_length_are_counted_and_named() -> None:
    questions = asked("a", "b", "c")
    assert find_too_long(questions, {"q1", "q2", "q3"}, max_tokens=4) == []
    [found] = find_too_long(questions, {"q1", "q3"}, max_tokens=4)
    assert (found.count, found.rows) == (1, ("d.parquet, row 2",))
    assert "rollout.max_prompt_tokens=4" in found.text


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (CHATML, []),
        ("{{ messages[-1].content | trim }}", [("dropped_message", "warning", 2)]),
        ("{{ messages[0].content }}", [("dropped_message", "error", 2)]),
    ],
)
def test_messages_that_the_template_leaves_out_are_told(
    template: str, expected: list[tuple[str, str, int]]
) -> None:
    questions = [chat(("system", "Brief."), ("user", f" {n}+1? "), name=str(n)) for n in (1, 2)]
    tokenizer = byte_tokenizer(template)
    prompts = [write_prompt(q, tokenizer, DataConfig(), templated=True) for q in questions]
    assert told(find_dropped(questions, prompts)) == expected


def test_the_end_of_turn_that_was_added_is_told() -> None:
    tokenizer = byte_tokenizer(CHATML)
    ends, turn = (tokenizer.convert_tokens_to_ids(t) for t in ("<|endoftext|>", "<|im_end|>"))
    [added] = find_stops(tokenizer, named={ends}, turn_end=turn, chats=True)
    assert "names <|endoftext|> (256) as stop tokens" in added.text
    assert "ends a turn with <|im_end|> (258): that ends a response as well" in added.text
    [there] = find_stops(tokenizer, named={ends, turn}, turn_end=turn, chats=True)
    assert (
        "<|endoftext|> (256), <|im_end|> (258), the chat template's end of turn too" in there.text
    )
    [none] = find_stops(tokenizer, named={ends}, turn_end=None, chats=True)
    assert "no token was added" in none.text
    assert find_stops(tokenizer, named={ends}, turn_end=turn, chats=False) == []


def test_special_tokens_of_a_prompt_are_visible_and_foreign_ones_are_plain_text() -> None:
    tokenizer = byte_tokenizer(CHATML)
    ids = tokenizer.encode("<|im_start|>user\n<|user|> é<|im_end|>\n", add_special_tokens=False)
    assert visible(ids, tokenizer) == "«<|im_start|>»user\n<|user|> é«<|im_end|>»\n"
