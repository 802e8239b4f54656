"""What the command line asks for, checked; None = the default of the test set, run or model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rlavr_hpc.config.checks import at_least
from rlavr_hpc.config.data import ChatTemplate, SystemRole
from rlavr_hpc.config.grading import Extract
from rlavr_hpc.config.model import Dtype
from rlavr_hpc.config.rollout import Engine
from rlavr_hpc.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationOptions:
    """One start of `rlavr evaluate`."""

    model: str
    on: Sequence[str]
    """Test sets by name or file."""
    data_dir: Path
    step: int | None = None
    out: Path | None = None
    responses: Path | None = None
    """File for prompts and responses; None = they are not kept."""
    samples: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_response_tokens: int | None = None
    limit: int | None = None
    """First problems of each set; None = all."""
    seed: int = 1
    chunk: int | None = None
    """Problems whose results go to disk together."""
    engine: Engine | None = None
    dtype: Dtype | None = None
    tensor_parallel: int | None = None
    gpu_memory_utilization: float = 0.9
    threads: int = 0
    chat_template: ChatTemplate | None = None
    system_prompt: str | None = None
    system_role: SystemRole | None = None
    enable_thinking: bool | None = None
    stop_token_ids: Sequence[int] | None = None
    trust_remote_code: bool = False
    extract: Extract | None = None
    """Where a math answer may stand."""

    def __post_init__(self) -> None:
        """Check ranges."""
        for name in ("samples", "max_response_tokens", "limit", "chunk", "tensor_parallel"):
            value = getattr(self, name)
            if value is not None:
                at_least(_flag(name), value, 1)
        at_least("--seed", self.seed, 0)
        at_least("--threads", self.threads, 0)
        if not 0 < self.gpu_memory_utilization <= 1:
            raise UserError("--gpu-memory-utilization must be in (0, 1]")
        if len(set(self.on)) < len(self.on):
            raise UserError(f"--on {','.join(self.on)} names a test set twice")


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
