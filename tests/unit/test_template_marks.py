"""Which texts carry a chat template, told by how they begin and end."""
# ruff: noqa: RUF001  DeepSeek's tokens hold full-width bars

from __future__ import annotations

import pytest

from rlavr_hpc.data.template_marks import carried_template, is_plain_dialogue

WHOLE = {
    "ChatML (Qwen and others)": [
        "<|im_start|>user\n1+1?<|im_end|>\n<|im_start|>assistant\n",
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n1+1?<|im_end|>\n"
        "<|im_start|>assistant\n<think>\n",
        "<|startoftext|><|im_start|>user\n1+1?<|im_end|>\n<|im_start|>assistant\nLet me see. ",
    ],
    "Llama 3": [
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n1+1?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
    ],
    "Llama 4": [
        "<|begin_of_text|><|header_start|>user<|header_end|>\n\n1+1?<|eot|>"
        "<|header_start|>assistant<|header_end|>\n\n",
    ],
    "Gemma": ["<bos><start_of_turn>user\n1+1?<end_of_turn>\n<start_of_turn>model\n"],
    "DeepSeek": [
        "<｜begin▁of▁sentence｜><｜User｜>1+1?<｜Assistant｜><think>\n",
        "<｜begin▁of▁sentence｜>Be brief.<｜User｜>1+1?<｜Assistant｜>",
        "<｜begin▁of▁sentence｜><｜User｜>1+1?<｜Assistant｜></think>",
        "<｜User｜>1+1?<｜Assistant｜>",
    ],
    "harmony (gpt-oss)": [
        "<|start|>system<|message|>You are useful.<|end|><|start|>user<|message|>1+1?<|end|>"
        "<|start|>assistant",
        "<|start|>developer<|message|>Be brief.<|end|><|start|>user<|message|>1+1?<|end|>"
        "<|start|>assistant<|channel|>final<|message|>",
    ],
    "Llama 2 or Mistral": [
        "<s>[INST] 1+1? [/INST]",
        "[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\n1+1? [/INST]",
        "<s>[SYSTEM_PROMPT]Be\nbrief.[/SYSTEM_PROMPT][INST]1+1?[/INST]",
    ],
    "Phi, Zephyr or GLM": [
        "<|user|>\n1+1?<|end|>\n<|assistant|>\n",
        "<|system|>\nBe brief.</s>\n<|user|>\n1+1?</s>\n<|assistant|>\n",
        "[gMASK]<sop><|user|>\n1+1?<|assistant|>\n<think>",
        "<|endoftext|><|user|>\n1+1?\n<|assistant|>\n",
    ],
    "Phi-4": ["<|im_start|>user<|im_sep|>1+1?<|im_end|><|im_start|>assistant<|im_sep|>"],
    "Granite": [
        "<|start_of_role|>user<|end_of_role|>1+1?<|end_of_text|>\n"
        "<|start_of_role|>assistant<|end_of_role|>",
    ],
    "Command R": [
        "<BOS_TOKEN><|START_OF_TURN_TOKEN|><|USER_TOKEN|>1+1?<|END_OF_TURN_TOKEN|>"
        "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
    ],
    "Kimi": [
        "<|im_user|>user<|im_middle|>1+1?<|im_end|><|im_assistant|>assistant<|im_middle|>",
    ],
    "EXAONE": ["[|user|]1+1?\n[|assistant|]"],
    "Seed-OSS": ["<seed:bos>user\n1+1?<seed:eos><seed:bos>assistant\n"],
}


@pytest.mark.parametrize(
    ("family", "text"), [(family, text) for family, texts in WHOLE.items() for text in texts]
)
def test_a_whole_template_is_known_by_its_family(family: str, text: str) -> None:
    found = carried_template(text)
    assert found is not None
    assert (found.family, found.whole) == (family, True)


@pytest.mark.parametrize(
    ("family", "text"),
    [
        ("ChatML (Qwen and others)", "<|im_start|>hi"),
        ("Llama 3", "<|begin_of_text|>hi"),
        ("DeepSeek", "<｜begin▁of▁sentence｜>hi"),
        ("Gemma", "\n<start_of_turn>user\nhi<end_of_turn>\n"),
    ],
)
def test_a_beginning_alone_counts_where_no_ordinary_text_begins_so(family: str, text: str) -> None:
    found = carried_template(text)
    assert found is not None
    assert (found.family, found.whole) == (family, False)


@pytest.mark.parametrize(
    "text",
    [
        "A log holds the token <|user|> 3 times and [INST] twice. How many marks are that?",
        "What does <|im_start|> stand for in a prompt?",
        "How many tokens has <|begin_of_text|>?",
        "<|user|> is a token of which models?",
        "[INST] is written in capitals. How many letters has it?",
        "Name the token that follows <|start_header_id|>",
        "Which is longer, <start_of_turn> or <end_of_turn>?",
        "Is <｜User｜> spelt with full-width bars?",
        "What is 1+1?",
        "\\[x^2 + 1 = 0\\] has which roots? [/2]",
        "<b>Bold</b> or <i>not</i>?",
        "",
    ],
)
def test_a_question_that_mentions_a_mark_carries_no_template(text: str) -> None:
    assert carried_template(text) is None


def test_words_before_a_template_do_not_hide_it() -> None:
    text = "Some models read this first. [INST] 1+1? [/INST]"
    found = carried_template(text)
    assert found is not None
    assert found.family == "Llama 2 or Mistral"


def test_a_dialogue_in_plain_words_is_told_from_a_question() -> None:
    assert is_plain_dialogue("A talk of two.\nUser: 1+1?\nAssistant: <think>")
    assert is_plain_dialogue("### Instruction:\n1+1?\n\n### Response:\n")
    assert is_plain_dialogue("Question: 1+1?\nAnswer:")
    assert not is_plain_dialogue("User: what does this word mean?")
    assert not is_plain_dialogue("The assistant: who is it?")
