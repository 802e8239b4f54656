"""Quantities that the formulas for memory and duration share.

Shapes: P parameters, A trained ones, N ranks, b bytes of a weight, T tokens of a micro-batch, R of
them in responses, D hidden size, F feed-forward width, L layers, V vocabulary.

Activations are counted tensor by tensor as in arXiv 2205.05198, section 4, for a gated feed-forward
part and RMS norms, without attention scores, which fused attention never stores.
"""

from __future__ import annotations

from dataclasses import dataclass

from rlavr_hpc.config.data import DataKind
from rlavr_hpc.config.model import Dtype
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.planning.adapters import trained_parameters
from rlavr_hpc.planning.hardware import Machines
from rlavr_hpc.planning.shape import QK_NORM, ModelShape

TESTBED_PROMPT = 7
"""Tokens of a question of the testbed."""
FLOAT = 4
MICRO_BATCH = 64
"""Responses of a forward pass of which the config says nothing and which is not derived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What the formulas below have in common, of one config on some machines."""

    config: RunConfig
    shape: ModelShape
    machines: Machines

    @property
    def weight(self) -> int:
        """B, bytes of a weight."""
        return 2 if self.config.model.dtype is Dtype.bfloat16 else FLOAT

    @property
    def share(self) -> float:
        """P/N."""
        return self.shape.parameters / self.machines.ranks

    @property
    def trained(self) -> int:
        """A; without adapters all, and with them only theirs, which are not counted in P."""
        return trained_parameters(self.shape, self.config.lora)

    @property
    def trained_share(self) -> float:
        """A/N."""
        return self.trained / self.machines.ranks

    @property
    def held_share(self) -> float:
        """Of all weights, a rank's bytes."""
        adapters = self.trained_share if self.config.lora.rank else 0.0
        return self.weight * (self.share + adapters)

    @property
    def weights(self) -> int:
        """Bytes of the whole model."""
        return self.weight * self.shape.parameters

    @property
    def on_gpu(self) -> bool:
        """Whether there is an accelerator."""
        return self.machines.accelerator is not None

    @property
    def longest(self) -> int:
        """Tokens of the longest sequence."""
        return self.longest_prompt + self.config.rollout.max_response_tokens

    @property
    def longest_prompt(self) -> int:
        """Tokens; all of the testbed's are equally long, other data is not looked at."""
        limit = self.config.rollout.max_prompt_tokens
        return min(limit, TESTBED_PROMPT) if self.config.data.kind is DataKind.testbed else limit

    @property
    def replicas(self) -> int:
        """Engines that generate side by side."""
        return max(1, self.machines.ranks // self.config.rollout.tensor_parallel)

    @property
    def at_once(self) -> int:
        """Sequences that an engine generates at once, if its cache has room."""
        algorithm = self.config.algorithm
        asked = -(-algorithm.drawn // self.replicas) * algorithm.group_size
        return min(asked, self.config.rollout.max_sequences)

    @property
    def cache_per_token(self) -> int:
        """Bytes of a token's keys and values."""
        return 2 * self.shape.layers * self.shape.kv_dim * self.weight

    @property
    def micro_tokens(self) -> int:
        """T: of the largest micro-batch, all sequences as long as they may be."""
        algorithm = self.config.algorithm
        here = -(-algorithm.prompts_per_update * algorithm.group_size // self.machines.ranks)
        if algorithm.micro_tokens is None:
            return min(algorithm.micro_batch or MICRO_BATCH, here) * self.longest
        return min(max(algorithm.micro_tokens, self.longest), here * self.longest)

    @property
    def chunk(self) -> int:
        """Tokens whose logits exist at once."""
        part = self.config.rollout.max_response_tokens / self.longest
        return min(self.config.algorithm.logit_chunk, int(self.micro_tokens * part))


def layer_activations(sizes: Sizes) -> float:
    """Bytes per token that one layer keeps for its backward pass.

    Two norms keep their input in float32, what they normalised and what they gave; attention its
    queries, keys and values before and after the rotation and its output; the feed-forward part
    its two projections, the activation and the product.
    """
    shape, b = sizes.shape, sizes.weight
    norms = 2 * shape.hidden * (FLOAT + 2 * b)
    heads = shape.q_dim + shape.kv_dim
    head_norms = heads * (FLOAT + b) if shape.kind in QK_NORM else 0
    attention = b * (3 * shape.q_dim + 4 * shape.kv_dim)
    return norms + head_norms + attention + 4 * b * shape.ffn


def activations(sizes: Sizes) -> float:
    """Bytes that a micro-batch's forward pass keeps for the backward pass."""
    layer, shape = layer_activations(sizes), sizes.shape
    if sizes.config.deepspeed.gradient_checkpointing:
        kept = shape.layers * shape.hidden * sizes.weight + layer
    else:
        kept = shape.layers * layer
    return kept * sizes.micro_tokens
