"""A tiny model whose every token is a whole answer, some of them hostile.

`python -m tests.support.hostile_model FOLDER` writes the model and `prompts.jsonl`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.support.tiny_models import qwen2

SLOW = tuple(rf"\frac{{3^{{{n}}}}}{{3^{{{n - 1}}}}}" for n in (3000000, 3000001, 3000002))
"""Take a fraction of a second to read: past a tight limit, within a generous one."""
BOMBS = ("9^{9^{9^9}}", "9!!!!!!", r"\binom{9^{9^9}}{2}")
ANSWERS = (
    "7",
    "7.0",
    r"\frac{14}{2}",
    "8",
    "8",
    r"\sin^2 x",
    r"1-\cos^2 x",
    "__import__('os').abort()",
    "{" * 300 + "7" + "}" * 300,
    *BOMBS,
    *SLOW,
)
PROMPTS = 24
PAD, END = "<pad>", "<end>"


def build(folder: Path) -> None:
    """Write tokenizer, random weights and prompts, each labelled 7."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate("q0123456789")}, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_tokens([AddedToken(rf"\boxed{{{a}}}", normalized=False) for a in ANSWERS])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token=END, pad_token=PAD, clean_up_tokenization_spaces=False
    )
    model = qwen2(tokenizer, hidden_size=64, intermediate_size=128, num_hidden_layers=2)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    rows = [json.dumps({"id": f"q{i}", "prompt": f"q{i}", "answer": "7"}) for i in range(PROMPTS)]
    (folder / "prompts.jsonl").write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    build(Path(sys.argv[1]))
