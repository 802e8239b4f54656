"""The groups of a run's config but the data's: slotted dataclasses that check themselves.

Slots make a misspelt key fail; `__post_init__` makes an impossible value fail before any model is
loaded. What spans groups is checked in `rlavr_hpc.config`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from omegaconf import MISSING

from rlavr_hpc.errors import UserError


class ModelSource(StrEnum):
    """Where the initial weights come from."""

    pretrained = "pretrained"
    testbed = "testbed"


class Dtype(StrEnum):
    """Number format of the model's weights in training and generation."""

    float32 = "float32"
    bfloat16 = "bfloat16"


class Engine(StrEnum):
    """Who generates."""

    vllm = "vllm"
    hf = "hf"


class Unlabelled(StrEnum):
    """What a prompt without a label is trained on (method, section 4)."""

    drop = "drop"
    pseudo = "pseudo"
    trusted = "trusted"
    soft = "soft"


class OnRisk(StrEnum):
    """What an early warning does."""

    none = "none"
    warn = "warn"
    stop = "stop"
    rollback = "rollback"
    raise_budget = "raise_budget"


class Tracking(StrEnum):
    """Dashboard that mirrors the metrics; the JSON-lines record is always written."""

    none = "none"
    wandb = "wandb"
    offline = "offline"


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


@dataclass(slots=True, kw_only=True)
class PluginConfig:
    """A class named in YAML and the settings it takes."""

    name: str = MISSING
    target: str = MISSING
    """package.module:Class"""
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class AcquisitionConfig(PluginConfig):
    """Which labels are bought, and what the budget means for this policy."""

    default_budget: float = 0.2
    fixed_budget: bool = False
    """True when no other budget makes sense for this policy."""
    default_unlabelled: Unlabelled = Unlabelled.drop
    has_scores: bool = False
    """True when the policy scores candidates by what their label is worth: `unlabelled=soft`."""
    has_trust: bool = False
    """True when the policy says whose vote it trusts: `unlabelled=trusted`."""
    research_only: bool = False
    """True when the policy looks at labels nobody bought."""


@dataclass(slots=True, kw_only=True)
class EvalConfig:
    """Evaluation on held-out prompts, at the start, the end and every `eval_every` steps."""

    samples: int = 8
    temperature: float = 1.0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        """Check ranges."""
        at_least("eval.samples", self.samples, 1)
        if not (self.temperature > 0 and 0 < self.top_p <= 1):
            raise UserError("eval.temperature must be above 0 and eval.top_p in (0, 1]")


@dataclass(slots=True, kw_only=True)
class WarningConfig:
    """What happens when `collapse/risk` reaches a threshold."""

    action: OnRisk = OnRisk.warn
    """none, warn (say why), stop (with a checkpoint, exit code 3), rollback (go on from the last
    healthy checkpoint with other noise), or raise_budget: warn, and buy more labels while the risk
    lasts, under `budget_total`."""
    threshold: float = 0.5
    healthy: float = 0.25
    """A checkpoint with a risk below this is healthy."""
    max_rollbacks: int = 2
    """After as many, `rollback` stops the run."""
    budget_factor: float = 2.0
    """raise_budget: how many times the step's quota."""

    def __post_init__(self) -> None:
        """Check ranges."""
        if not 0 < self.threshold <= 1:
            raise UserError(f"warning.threshold={self.threshold} is outside (0, 1]")
        if self.action is OnRisk.rollback and not 0 < self.healthy <= self.threshold:
            raise UserError(
                f"warning.healthy={self.healthy} is outside (0, warning.threshold={self.threshold}]"
            )
        at_least("warning.max_rollbacks", self.max_rollbacks, 0)
        if not 1 <= self.budget_factor < math.inf:
            raise UserError(f"warning.budget_factor={self.budget_factor} must be at least 1")


@dataclass(slots=True, kw_only=True)
class CheckpointConfig:
    """Which checkpoints stay, and how they are written; changes no results."""

    keep_last: int = 2
    """Newest ones that stay; an older one goes only after a newer one is complete."""
    keep_every: int = 0
    """Those of steps that are multiples of this stay; 0 = none."""
    keep_best: bool = True
    """The one with the highest held-out accuracy stays."""
    background: bool = True
    """Write beside the next steps, from a copy of the state in host memory."""

    def __post_init__(self) -> None:
        """Check ranges."""
        at_least("checkpoint.keep_last", self.keep_last, 1)
        at_least("checkpoint.keep_every", self.keep_every, 0)


LONGEST_TAG = 64


@dataclass(slots=True, kw_only=True)
class TrackingConfig:
    """Dashboards, and the example rollouts on record."""

    kind: Tracking = Tracking.none
    project: str = "rlavr_hpc"
    entity: str | None = None
    tags: list[str] = field(default_factory=list)
    """Besides those that every run gets: policy, budget, model, engine, seed."""
    examples_every: int = 25
    """Steps between example rollouts on record, besides the first step; 0 = none."""
    examples_prompts: int = 4
    """Prompts of a step whose rollouts go on record: half of them with a label, if there are."""
    share_labels: bool = False
    """Show true labels, and rewards that tell one, outside of the run folder."""
    checkpoints: bool = False
    """Store a finished run's last checkpoint there: 12 bytes a parameter."""

    def __post_init__(self) -> None:
        """Check ranges."""
        at_least("tracking.examples_every", self.examples_every, 0)
        at_least("tracking.examples_prompts", self.examples_prompts, 1)
        if bad := [tag for tag in self.tags if not 1 <= len(tag) <= LONGEST_TAG]:
            raise UserError(
                f"tracking.tags: {bad[0]!r} must have 1 to {LONGEST_TAG} characters; wandb takes "
                "no others"
            )


def at_least(key: str, value: int, least: int) -> None:
    """Raise UserError when a setting is too small."""
    if value < least:
        raise UserError(f"{key}={value} must be at least {least}")
