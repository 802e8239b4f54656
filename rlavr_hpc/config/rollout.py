"""Key group `rollout`: how responses are generated."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from rlavr_hpc.config.checks import at_least
from rlavr_hpc.errors import UserError


class Engine(StrEnum):
    """Who generates."""

    vllm = "vllm"
    hf = "hf"


@dataclass(slots=True, kw_only=True)
class RolloutConfig:
    """How responses are generated. Training always samples from the full distribution."""

    engine: Engine = Engine.vllm
    temperature: float = 1.0
    max_prompt_tokens: int = 1024
    max_response_tokens: int = 4000
    stop_token_ids: list[int] = field(default_factory=list)
    """Besides the model's own end-of-sequence tokens."""
    tensor_parallel: int = 1
    """Ranks that hold one vLLM model together."""
    gpu_memory_utilization: float = 0.5
    kv_cache_gib: int = 1
    """Key-value cache on CPU."""
    max_sequences: int = 512
    """Sequences generated at once."""
    sync_bucket_mib: int = 256
    """Weights gathered at once in a weight sync."""

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
