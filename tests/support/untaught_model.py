"""A tiny model with random weights and a chat template: no answer can be read in what it writes.

`python -m tests.support.untaught_model FOLDER` writes it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.tiny_tokenizers import CHATML, byte_tokenizer


def build(folder: Path) -> None:
    """Write weights and tokenizer."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    tokenizer = byte_tokenizer(CHATML)
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=64,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=512,
            tie_word_embeddings=False,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=None,
        )
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
