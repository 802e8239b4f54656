"""Config group `rollout`: how responses are generated."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from rlavr_hpc.config.checks import at_least
from rlavr_hpc.errors import UserError


class Engine(StrEnum):
    """The inference engine."""

    vllm = "vllm"
    """vLLM, in the trainer's process."""
    hf = "hf"
    """Transformers with static batches; needs no vLLM."""


@dataclass(slots=True, kw_only=True)
class RolloutConfig:
    """How responses are generated. Training always samples from the full distribution."""

    engine: Engine = Engine.vllm
    """The inference engine."""
    temperature: float = 1.0
    """Sampling temperature in training, above 0."""
    max_prompt_tokens: int = 1024
    """Longest prompt, in tokens; `data.overlong` decides about longer ones."""
    max_response_tokens: int = 4000
    """Longest response, in tokens; generation is cut off there."""
    stop_token_ids: list[int] = field(default_factory=list)
    """Ids of more stop tokens, besides the model's own."""
    tensor_parallel: int = 1
    """Ranks that share one vLLM model; must divide the number of ranks."""
    gpu_memory_utilization: float = 0.5
    """vLLM only: share of the GPU's memory that it may use, above 0 and at most 1."""
    kv_cache_gib: int = 1
    """vLLM on CPU only: size of the key-value cache, in GiB."""
    max_sequences: int = 512
    """Responses generated at the same time."""
    sync_bucket_mib: int = 256
    """MiB of weights gathered at once when the engine gets the policy's new weights."""

    def __post_init__(self) -> None:
        """Check ranges."""
        if not self.temperature > 0:
            raise UserError(f"rollout.temperature={self.temperature} must be above 0")
        for name in (
            "max_prompt_tokens",
            "max_response_tokens",
            "tensor_parallel",
            "kv_cache_gib",
            "max_sequences",
            "sync_bucket_mib",
        ):
            at_least(f"rollout.{name}", getattr(self, name), 1)
        if not 0 < self.gpu_memory_utilization <= 1:
            raise UserError("rollout.gpu_memory_utilization must be in (0, 1]")
        if self.engine is Engine.hf and self.tensor_parallel != 1:
            raise UserError("rollout.tensor_parallel > 1 needs rollout=vllm")
