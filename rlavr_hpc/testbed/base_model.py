r"""The testbed's pre-trained model: a tiny Qwen2 that has read the corpus, built from a seed.

Numbers 0..99 and the words of a question are one token each, any other text falls back to bytes, so
an answer is `\boxed{` `42` `}` and the end token, and real data can be fed to the model too.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

import numpy as np

from rlavr_hpc.io import canonical_json
from rlavr_hpc.testbed.questions import ANSWERS, draw_questions, draw_statements, make_world

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerFast

FORMAT = 1
"""Raise it when the same recipe would give other bytes."""
BATCH = 128
STATEMENTS = 32
"""Corpus sentences read per question of a batch: their answers share one forward pass."""
LEARNING_RATE = 3e-3
WORDS = ("Rule ", " maps (", ", ", ") to ", "\\boxed{", "}")
PAD, END = "<pad>", "<end>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything the base model's bytes depend on."""

    module: ClassVar[str] = "rlavr_hpc.testbed.base_model"
    threads: ClassVar[int] = 2
    kinds: str
    wrong_rule: int
    seed: int
    steps: int
    tied: bool

    @property
    def digest(self) -> str:
        """Names the cache folder."""
        return hashlib.sha256(canonical_json([FORMAT, asdict(self)]).encode()).hexdigest()[:12]


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Bytes, plus one token for each number 10..99 and each word of a question."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers  # noqa: PLC0415
    from transformers import PreTrainedTokenizerFast  # noqa: PLC0415

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = decoders.ByteLevel()
    words = [str(number) for number in range(10, ANSWERS)] + [*WORDS]
    inner.add_tokens([AddedToken(word, normalized=False) for word in words])
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token=END, pad_token=PAD, clean_up_tokenization_spaces=False
    )


def build(recipe: Recipe, out: Path, *, quiet: bool) -> None:
    """Pre-train the model on the corpus and write it to `out`."""
    import torch  # noqa: PLC0415
    from tqdm import tqdm  # noqa: PLC0415
    from transformers import GenerationConfig, Qwen2Config, Qwen2ForCausalLM  # noqa: PLC0415

    tokenizer = build_tokenizer()
    torch.manual_seed(recipe.seed)
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=4096,
            tie_word_embeddings=recipe.tied,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=LEARNING_RATE, total_steps=recipe.steps, pct_start=0.1
    )
    corpus = _Corpus(recipe, tokenizer)
    for _ in tqdm(range(recipe.steps), desc="reading the corpus", disable=quiet, unit="batch"):
        loss = corpus.loss(model)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)


class _Corpus:
    """Turns corpus sentences into training batches."""

    def __init__(self, recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> None:
        import torch  # noqa: PLC0415

        self.world = make_world(recipe.kinds, wrong_rule=recipe.wrong_rule)
        self.rng = np.random.default_rng(np.random.SeedSequence([recipe.seed]))
        one = cast("Callable[[str], int]", tokenizer.convert_tokens_to_ids)
        self.prompts_QT = torch.tensor([tokenizer.encode(q.text) for q in self.world.questions])
        self.numbers_A = torch.tensor([one(str(n)) for n in range(ANSWERS)])
        self.open, self.close = one("\\boxed{"), one("}")
        self.end, self.vocabulary = one(END), len(tokenizer)

    def loss(self, model: torch.nn.Module) -> torch.Tensor:
        r"""Cross-entropy of `\boxed{ANSWER}END`, the answer against what the corpus states."""
        import torch  # noqa: PLC0415

        asked_N = draw_questions(self.world, size=BATCH, rng=self.rng)
        stated = draw_statements(self.world, np.repeat(asked_N, STATEMENTS), rng=self.rng)
        answers_NS = self.numbers_A[torch.from_numpy(stated).view(BATCH, STATEMENTS)]
        target_NV = torch.zeros(BATCH, self.vocabulary).scatter_add_(
            1, answers_NS, torch.full((BATCH, STATEMENTS), 1.0 / STATEMENTS)
        )
        column = torch.ones(BATCH, 1, dtype=torch.long)
        prompts_NT = self.prompts_QT[torch.from_numpy(asked_N)]
        inputs_NT = torch.cat(
            [prompts_NT, self.open * column, answers_NS[:, :1], self.close * column], dim=1
        )
        first = prompts_NT.shape[1] - 1
        logp_N4V = model(inputs_NT).logits[:, first:].log_softmax(-1)
        form = logp_N4V[:, 0, self.open] + logp_N4V[:, 2, self.close] + logp_N4V[:, 3, self.end]
        loss: torch.Tensor = -(form + (logp_N4V[:, 1] * target_NV).sum(-1)).mean()
        return loss


def main() -> None:
    """`python -m rlavr_hpc.testbed.base_model RECIPE_JSON OUT [--quiet]`: the child process."""
    import json  # noqa: PLC0415

    build(Recipe(**json.loads(sys.argv[1])), Path(sys.argv[2]), quiet="--quiet" in sys.argv)


if __name__ == "__main__":
    main()
