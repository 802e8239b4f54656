"""Tokenizers of bytes with a chat template of one's choice, and tiny models with random weights.

`python -m tests.support.tiny_models FOLDER` writes one that reads ChatML.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

END = "<|endoftext|>"
SPECIAL = (END, "<|im_start|>", "<|im_end|>", "<pad>")
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
NO_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
    "{% endif %}" + CHATML
)
ALTERNATING = (
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Roles must alternate user/assistant/...') }}{% endif %}"
    "[INST] {{ m['content'] }} [/INST]{% endfor %}"
)
DATED = "<|im_start|>system\nToday is {{ strftime_now('%d %b %Y') }}<|im_end|>\n" + CHATML


def byte_tokenizer(
    template: str | None, *, special: tuple[str, ...] = SPECIAL, eos: str = END
) -> Any:  # noqa: ANN401
    """One token per byte, and the special ones behind them, from id 256 on."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocab = {c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    inner = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens([AddedToken(text, special=True) for text in special])
    made = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token=eos, pad_token=special[-1])
    made.chat_template = template
    return made


def qwen2(tokenizer: Any, **shape: Any) -> Any:  # noqa: ANN401
    """A Qwen2 with random weights for a tokenizer, the same every time; `shape` changes its config.

    Its only stop is the tokenizer's end of sequence, and it fills batches with its padding.
    """
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    usual: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "tie_word_embeddings": False,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    torch.manual_seed(0)
    return Qwen2ForCausalLM(Qwen2Config(**(usual | shape)))


def byte_model(folder: Path, template: str | None) -> Path:
    """A model that reads bytes, and says nothing that could be read."""
    tokenizer = byte_tokenizer(template)
    qwen2(tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


if __name__ == "__main__":
    byte_model(Path(sys.argv[1]), CHATML)
