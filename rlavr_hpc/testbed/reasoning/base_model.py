"""The pre-trained model of the testbed with worked steps: a tiny Qwen2 that has read the corpus.

Each word is one token, and there are no others (`wording.VOCABULARY`).

Shapes: Q puzzles, T tokens of the longest but its last, N solutions of similar length, S tokens of
the longest, V vocabulary.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rlavr_hpc.io import canonical_json
from rlavr_hpc.testbed.reasoning.corpus import TOKENS, CorpusBatch, read_corpus
from rlavr_hpc.testbed.reasoning.wording import BLANK, END, PAD, text_of

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM

FORMAT = 1
"""Raise it when the same recipe would give other bytes."""
MICRO_BATCH = 48
"""Solutions of a forward pass, of similar length."""
LEARNING_RATE = 4e-3
BETAS = (0.9, 0.98)
IGNORED = -100
"""Target of padding."""
POSITIONS = 4096
"""Context of the model, in tokens."""
PAD_ID = TOKENS[PAD]
ENDS = (PAD, END)
"""Special tokens."""
BYTE_OF_BLANK = "\u0120"
"""How byte-level tokenizers write it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasoningRecipe:
    """Everything the base model's bytes depend on."""

    module: ClassVar[str] = "rlavr_hpc.testbed.reasoning.base_model"
    threads: ClassVar[int] = 1
    seed: int
    steps: int
    tied: bool

    @property
    def digest(self) -> str:
        """Names the cache folder."""
        values = ["reasoning", FORMAT, asdict(self)]
        return hashlib.sha256(canonical_json(values).encode()).hexdigest()[:12]


def build_word_tokenizer() -> PreTrainedTokenizerFast:
    """One token for each word with its blank; any other text has no token.

    Byte-level as Qwen2's own, which Transformers loads for this architecture.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers  # noqa: PLC0415
    from transformers import PreTrainedTokenizerFast  # noqa: PLC0415

    texts = {text_of([word]): token for word, token in TOKENS.items() if word not in (*ENDS, BLANK)}
    others = {BYTE_OF_BLANK: TOKENS[BLANK], **{word: TOKENS[word] for word in ENDS}}
    inner = Tokenizer(models.BPE(vocab={**texts, **others}, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_tokens([AddedToken(text, normalized=False) for text in texts])
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token=END, pad_token=PAD, clean_up_tokenization_spaces=False
    )


def build(recipe: ReasoningRecipe, out: Path, *, quiet: bool) -> None:
    """Pre-train the model on the corpus and write it to `out`."""
    import torch  # noqa: PLC0415
    from tqdm import tqdm  # noqa: PLC0415
    from transformers import GenerationConfig  # noqa: PLC0415

    tokenizer = build_word_tokenizer()
    torch.manual_seed(recipe.seed)
    model = new_model(recipe)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=LEARNING_RATE, betas=BETAS, weight_decay=0.0
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=LEARNING_RATE, total_steps=recipe.steps, pct_start=0.1
    )
    bar = tqdm(total=recipe.steps, desc="reading the corpus", disable=quiet, unit="batch")
    reader = CorpusReader(model)
    for batch in read_corpus(recipe.seed, steps=recipe.steps):
        loss = reader.loss(batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        bar.update()
        bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
    bar.close()
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)


def new_model(recipe: ReasoningRecipe) -> Qwen2ForCausalLM:
    """The model before it has read anything; its weights are drawn from torch's random state."""
    from transformers import Qwen2Config, Qwen2ForCausalLM  # noqa: PLC0415

    return Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(TOKENS),
            hidden_size=64,
            intermediate_size=192,
            num_hidden_layers=3,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=POSITIONS,
            tie_word_embeddings=recipe.tied,
            bos_token_id=None,
            eos_token_id=TOKENS[END],
            pad_token_id=PAD_ID,
        )
    )


class CorpusReader:
    """Reads each puzzle once, for all of its solutions."""

    def __init__(self, model: Qwen2ForCausalLM) -> None:
        """The model that is trained."""
        self._model = model

    def loss(self, batch: CorpusBatch) -> torch.Tensor:
        """Cross-entropy of the solutions, a mean over their tokens."""
        import torch  # noqa: PLC0415

        width = max(map(len, batch.puzzles)) - 1
        rows = [[PAD_ID] * (width + 1 - len(puzzle)) + puzzle[:-1] for puzzle in batch.puzzles]
        ids_QT = torch.tensor(rows)
        mask_QT = (ids_QT != PAD_ID).long()
        read = self._model.model(
            input_ids=ids_QT,
            attention_mask=mask_QT,
            position_ids=(mask_QT.cumsum(-1) - 1).clamp(min=0),
            use_cache=True,
        ).past_key_values
        order = sorted(batch.solutions, key=lambda solution: len(solution[1]))
        parts = [order[start : start + MICRO_BATCH] for start in range(0, len(order), MICRO_BATCH)]
        losses = [self._summed(part, batch.puzzles, mask_QT, read.layers) for part in parts]
        return torch.stack(losses).sum() / sum(len(solution) for _, solution in batch.solutions)

    def _summed(
        self,
        solved: list[tuple[int, list[int]]],
        puzzles: list[list[int]],
        mask_QT: torch.Tensor,
        layers: Sequence[Any],
    ) -> torch.Tensor:
        """Of solutions behind the last token of their puzzles; padding stands on the right."""
        import torch  # noqa: PLC0415
        from transformers import DynamicCache  # noqa: PLC0415

        longest = max(len(solution) for _, solution in solved)
        padded = [solution + [IGNORED] * (longest - len(solution)) for _, solution in solved]
        target_NS = torch.tensor(padded)
        puzzle_N = torch.tensor([index for index, _ in solved])
        last_N1 = torch.tensor([[puzzles[index][-1]] for index, _ in solved])
        cache = DynamicCache()
        for place, layer in enumerate(layers):
            cache.update(layer.keys[puzzle_N], layer.values[puzzle_N], place)
        mask_NT = mask_QT[puzzle_N]
        logits_NSV = self._model(
            input_ids=torch.cat([last_N1, target_NS[:, :-1].clamp(min=PAD_ID)], dim=1),
            attention_mask=torch.cat([mask_NT, torch.ones_like(target_NS)], dim=1),
            position_ids=mask_NT.sum(-1, keepdim=True) + torch.arange(longest),
            past_key_values=cache,
        ).logits
        summed: torch.Tensor = torch.nn.functional.cross_entropy(
            logits_NSV.flatten(0, 1), target_NS.flatten(), ignore_index=IGNORED, reduction="sum"
        )
        return summed


def main() -> None:
    """`python -m rlavr_hpc.testbed.reasoning.base_model RECIPE_JSON OUT [--quiet]`: the child."""
    import json  # noqa: PLC0415

    recipe = ReasoningRecipe(**json.loads(sys.argv[1]))
    build(recipe, Path(sys.argv[2]), quiet="--quiet" in sys.argv)


if __name__ == "__main__":
    main()
