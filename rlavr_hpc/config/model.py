"""Config group `model`: the policy model."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rlavr_hpc.config.checks import at_least
from rlavr_hpc.errors import UserError


class ModelSource(StrEnum):
    """Where the initial weights come from."""

    pretrained = "pretrained"
    """From `path`."""
    testbed = "testbed"
    """A tiny model, built on this machine in a minute and cached."""
    reasoning = "reasoning"
    """A tiny model that solves puzzles in writing, built on this machine in minutes and cached."""


class Dtype(StrEnum):
    """Number format of the model's weights in training and generation."""

    float32 = "float32"
    bfloat16 = "bfloat16"


@dataclass(slots=True, kw_only=True)
class ModelConfig:
    """The model that is trained."""

    source: ModelSource = ModelSource.pretrained
    """Where the initial weights come from."""
    path: str | None = None
    """Folder or hub name of a Hugging Face causal language model; not used by the testbeds."""
    dtype: Dtype = Dtype.bfloat16
    """Number format of the weights in training and generation."""
    attention: str = "auto"
    """Attention implementation in training, by Transformers' name (sdpa, flash_attention_2, eager,
    ...); auto = flash_attention_2 if the GPU and the installation have it, else Transformers'
    choice."""
    trust_remote_code: bool = False
    """Whether Python code that comes with the model may be executed."""
    tied_embeddings: bool = False
    """Testbeds only: whether the model's embedding and head share their weights."""
    pretrain_steps: int = 2000
    """Testbeds only: optimizer updates of the base model's pretraining."""

    @property
    def built_here(self) -> bool:
        """Whether the model is a testbed's, made by the program from a seed."""
        return self.source is not ModelSource.pretrained

    def __post_init__(self) -> None:
        """Check fields against each other."""
        if not self.built_here and not self.path:
            raise UserError("model.path is missing: name a model folder, or use model=testbed")
        if "flash" in self.attention and self.dtype is Dtype.float32:
            raise UserError(f"model.attention={self.attention} needs model.dtype=bfloat16")
        at_least("model.pretrain_steps", self.pretrain_steps, 1)
