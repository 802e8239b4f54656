"""Key group `model`: the policy model."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rlavr_hpc.config.checks import at_least
from rlavr_hpc.errors import UserError


class ModelSource(StrEnum):
    """Where the initial weights come from."""

    pretrained = "pretrained"
    testbed = "testbed"


class Dtype(StrEnum):
    """Number format of the model's weights in training and generation."""

    float32 = "float32"
    bfloat16 = "bfloat16"


@dataclass(slots=True, kw_only=True)
class ModelConfig:
    """The policy model."""

    source: ModelSource = ModelSource.pretrained
    path: str | None = None
    """Folder or hub name of a Hugging Face causal language model; not used by the testbed."""
    dtype: Dtype = Dtype.bfloat16
    attention: str = "auto"
    """Transformers' name of the attention that trains (sdpa, flash_attention_2, eager, ...); auto =
    flash_attention_2 on a GPU that has it, else Transformers' choice."""
    trust_remote_code: bool = False
    tied_embeddings: bool = False
    """Testbed only: whether the tiny model shares its embedding with its head."""
    pretrain_steps: int = 2000
    """Testbed only: how long the base model reads the corpus."""

    def __post_init__(self) -> None:
        """Check fields against each other."""
        if self.source is ModelSource.pretrained and not self.path:
            raise UserError("model.path is missing: name a model folder, or use model=testbed")
        if "flash" in self.attention and self.dtype is Dtype.float32:
            raise UserError(f"model.attention={self.attention} needs model.dtype=bfloat16")
        at_least("model.pretrain_steps", self.pretrain_steps, 1)
