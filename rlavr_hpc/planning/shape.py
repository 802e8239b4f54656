"""A decoder's shape, and how many parameters it has.

Shapes: D hidden size, F width of the feed-forward part, V vocabulary, L layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rlavr_hpc.errors import UserError

QKV_BIAS = ("qwen2",)
"""Model types whose attention has biases on queries, keys and values only, always."""
QK_NORM = ("qwen3",)
"""Model types that normalise queries and keys head by head."""
COUNTED = ("llama", "mistral", "phi3", *QKV_BIAS, *QK_NORM)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """A decoder with grouped-query attention, a gated feed-forward part and RMS norms."""

    kind: str
    """`model_type` of its config.json."""
    hidden: int
    ffn: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    tied: bool
    """Whether the head is the embedding."""
    bias: bool = False
    """On queries, keys, values and output."""

    @property
    def q_dim(self) -> int:
        """Width of all queries."""
        return self.heads * self.head_dim

    @property
    def kv_dim(self) -> int:
        """Width of all keys; that of all values is the same."""
        return self.kv_heads * self.head_dim

    @property
    def layer_parameters(self) -> int:
        """Of one layer: q, k, v, o, three feed-forward matrices, norms and biases."""
        matrices = self.hidden * (2 * self.q_dim + 2 * self.kv_dim + 3 * self.ffn)
        norms = 2 * self.hidden + (2 * self.head_dim if self.kind in QK_NORM else 0)
        qkv = self.q_dim + 2 * self.kv_dim
        biases = qkv if self.kind in QKV_BIAS else (qkv + self.hidden) * self.bias
        return matrices + norms + biases

    @property
    def embedding_parameters(self) -> int:
        """V x D."""
        return self.vocabulary * self.hidden

    @property
    def parameters(self) -> int:
        """All: embedding, layers, the last norm, and the head unless it is tied."""
        embeddings = self.embedding_parameters * (1 if self.tied else 2)
        return embeddings + self.layers * self.layer_parameters + self.hidden

    @property
    def matmul_parameters(self) -> int:
        """Those that a token is multiplied with: all but the embedding that is looked up."""
        return self.layers * self.layer_parameters + self.embedding_parameters


def read_shape(config: object, *, where: str) -> ModelShape:
    """The shape by a model's config.json.

    Args:
        config: what it holds.
        where: for messages.

    Raises:
        UserError: it is a kind of model whose parameters are not counted here.
    """
    if not isinstance(config, Mapping):
        raise UserError(f"{where}: no whole config of a model")
    kind = str(config.get("model_type"))
    if kind not in COUNTED:
        raise UserError(
            f"{where}: model_type={kind} is not planned for; it knows {', '.join(COUNTED)}"
        )
    try:
        hidden, heads = int(config["hidden_size"]), int(config["num_attention_heads"])
        return ModelShape(
            kind=kind,
            hidden=hidden,
            heads=heads,
            ffn=int(config["intermediate_size"]),
            layers=int(config["num_hidden_layers"]),
            vocabulary=int(config["vocab_size"]),
            kv_heads=int(config.get("num_key_value_heads") or heads),
            head_dim=int(config.get("head_dim") or hidden // heads),
            tied=bool(config.get("tie_word_embeddings", False)),
            bias=bool(config.get("attention_bias", False)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{where}: no whole config of a model ({error!r})") from error


def _qwen3(hidden: int, ffn: int, layers: int, heads: int, *, tied: bool) -> ModelShape:
    return ModelShape(
        kind="qwen3",
        hidden=hidden,
        ffn=ffn,
        layers=layers,
        heads=heads,
        kv_heads=8,
        head_dim=128,
        vocabulary=151936,
        tied=tied,
    )


TESTBED = ModelShape(
    kind="qwen2",
    hidden=64,
    ffn=128,
    layers=2,
    heads=2,
    kv_heads=2,
    head_dim=32,
    vocabulary=353,
    tied=False,
)
"""`rlavr_hpc.testbed.base_model`: 256 bytes, 90 numbers, 5 words, padding and end."""
REASONING = ModelShape(
    kind="qwen2",
    hidden=64,
    ffn=192,
    layers=3,
    heads=2,
    kv_heads=2,
    head_dim=32,
    vocabulary=73,
    tied=False,
)
"""`rlavr_hpc.testbed.reasoning.base_model`: a token for each word."""
LLAMA_8B = ModelShape(
    kind="llama",
    hidden=4096,
    ffn=14336,
    layers=32,
    heads=32,
    kv_heads=8,
    head_dim=128,
    vocabulary=128256,
    tied=False,
)
KNOWN = {
    "Qwen/Qwen3-0.6B": _qwen3(1024, 3072, 28, 16, tied=True),
    "Qwen/Qwen3-1.7B": _qwen3(2048, 6144, 28, 16, tied=True),
    "Qwen/Qwen3-4B": _qwen3(2560, 9728, 36, 32, tied=True),
    "Qwen/Qwen3-8B": _qwen3(4096, 12288, 36, 32, tied=False),
    "Qwen/Qwen3-8B-Base": _qwen3(4096, 12288, 36, 32, tied=False),
    "meta-llama/Llama-3.1-8B": LLAMA_8B,
    "meta-llama/Llama-3.1-8B-Instruct": LLAMA_8B,
    "microsoft/Phi-4-mini-instruct": ModelShape(
        kind="phi3",
        hidden=3072,
        ffn=8192,
        layers=32,
        heads=24,
        kv_heads=8,
        head_dim=128,
        vocabulary=200064,
        tied=True,
    ),
}
"""Planned without their files, from the config.json of each on the hub."""
