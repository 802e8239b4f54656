"""A tiny model that was taught to give fixed responses to fixed prompts, through its template.

`python -m tests.support.taught_model FOLDER` reads FOLDER/pairs.json and writes FOLDER/model.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.support.tiny_models import CHATML, END, SPECIAL, qwen2

STEPS = 400
LEARNING_RATE = 5e-3
GOOD_LOSS = 0.0015
"""Mean nats a token at which a response is given almost surely."""


def teach(folder: Path, pairs: Sequence[tuple[str, str]]) -> None:
    """Write a model and its tokenizer that answer each prompt with its response.

    Args:
        folder: where the model goes.
        pairs: (user's message, response without the end of turn).
    """
    import torch
    from transformers import AutoTokenizer

    tokenizer = _tokenizer(text for pair in pairs for text in pair)
    model = qwen2(
        tokenizer,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=2048,
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)  # the model's kind splits words its own way
    rows = []
    for prompt, response in pairs:
        chat = [{"role": "user", "content": prompt}]
        text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        asked = tokenizer.encode(text, add_special_tokens=False)
        rows.append((asked, tokenizer.encode(response + END, add_special_tokens=False)))
    width = max(len(asked) + len(told) for asked, told in rows)
    ids = torch.full((len(rows), width), int(tokenizer.pad_token_id))
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, -100)
    for ids_row, mask_row, labels_row, (asked, told) in zip(ids, mask, labels, rows, strict=True):
        end = len(asked) + len(told)
        ids_row[:end] = torch.tensor(asked + told)
        mask_row[:end] = 1
        labels_row[len(asked) : end] = torch.tensor(told)
    told = labels[:, 1:] != -100
    targets = labels[:, 1:][told]
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
    value = math.inf
    for _ in range(STEPS):
        hidden = model.model(input_ids=ids, attention_mask=mask).last_hidden_state[:, :-1][told]
        loss = torch.nn.functional.cross_entropy(model.lm_head(hidden), targets)
        value = loss.item()
        if value < GOOD_LOSS:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert value < GOOD_LOSS, f"not learnt: {value:.3f} nats a token"
    model.save_pretrained(folder)


def _tokenizer(texts: Iterable[str]) -> Any:  # noqa: ANN401
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(texts, trainer)
    inner.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token=END, pad_token="<pad>")
    tokenizer.chat_template = CHATML
    return tokenizer


if __name__ == "__main__":
    home = Path(sys.argv[1])
    teach(home / "model", json.loads((home / "pairs.json").read_text()))
