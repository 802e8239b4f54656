"""The whole configuration of a run: schema, cross-field checks, identity.

Slotted dataclasses, so that a misspelt key fails; checks in `__post_init__`, so that an impossible
combination fails before any model is loaded. No torch and no file access here.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rlavr_hpc.errors import UserError
from rlavr_hpc.io import canonical_json

NOT_IDENTITY = (
    "run_dir",
    "root",
    "steps",
    "audit",
    "allow_change",
    "tracking",
    "cluster",
)
"""Keys (with all below them) that do not change results, so they do not name the run."""
CONFIG_VERSION = 1


class ModelSource(StrEnum):
    """Where the initial weights come from."""

    pretrained = "pretrained"
    testbed = "testbed"


class Dtype(StrEnum):
    """Number format of the model's weights in training and generation."""

    float32 = "float32"
    bfloat16 = "bfloat16"


class DataKind(StrEnum):
    """How the training prompts are read."""

    testbed = "testbed"
    parquet = "parquet"
    jsonl = "jsonl"


class ChatTemplate(StrEnum):
    """Whether the tokenizer's chat template is put around a prompt."""

    auto = "auto"
    apply = "apply"
    none = "none"


class Overlong(StrEnum):
    """What happens to a prompt that is longer than `rollout.max_prompt_tokens`."""

    filter = "filter"
    error = "error"


class Engine(StrEnum):
    """Who generates."""

    vllm = "vllm"
    hf = "hf"


class Unlabelled(StrEnum):
    """What a prompt without a label is trained on (method, section 4)."""

    drop = "drop"
    pseudo = "pseudo"


class Offload(StrEnum):
    """Where ZeRO-3 keeps a kind of state between uses."""

    none = "none"
    cpu = "cpu"


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
    trust_remote_code: bool = False
    tied_embeddings: bool = False
    """Testbed only: whether the tiny model shares its embedding with its head."""
    pretrain_steps: int = 2000
    """Testbed only: how long the base model reads the corpus."""

    def __post_init__(self) -> None:
        """Check fields against each other."""
        if self.source is ModelSource.pretrained and not self.path:
            raise UserError("model.path is missing: name a model folder, or use model=testbed")
        _at_least("model.pretrain_steps", self.pretrain_steps, 1)


@dataclass(slots=True, kw_only=True)
class DataConfig:
    """Where prompts and labels come from."""

    kind: DataKind = DataKind.testbed
    path: str | None = None
    """Training file; `data=parquet` and `data=jsonl`."""
    eval_path: str | None = None
    """Held-out file of the same kind; else `holdout` decides."""
    holdout: float = 0.0
    """Share of the training prompts kept out of training, for evaluation."""
    eval_limit: int = 0
    """Evaluate on at most this many held-out prompts; 0 = all."""
    seed: int = 0
    """Of the data set (hold-out choice, testbed), not of the run."""
    task: str | None = None
    """How answers are read (math, knights); null = by each row's `data_source`."""
    chat_template: ChatTemplate = ChatTemplate.auto
    system_prompt: str | None = None
    """Put before every chat prompt."""
    enable_thinking: bool | None = None
    """Passed to chat templates that know it; null = the template's default."""
    overlong: Overlong = Overlong.filter
    kinds: str = "HMHHMHXX"
    """Testbed only: one letter a family, H honest, M misbelieved, X hopeless."""
    wrong_rule: int = 0
    """Testbed only: which wrong rule the misbelieved families follow."""

    def __post_init__(self) -> None:
        """Check fields against each other."""
        if self.kind is not DataKind.testbed and not self.path:
            raise UserError(f"data.path is missing: data={self.kind} needs a file, data.path=FILE")
        if not 0 <= self.holdout < 1:
            raise UserError(f"data.holdout={self.holdout} is outside [0, 1)")
        _at_least("data.eval_limit", self.eval_limit, 0)
        _at_least("data.wrong_rule", self.wrong_rule, 0)


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
            _at_least(f"rollout.{name}", getattr(self, name), 1)
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
    research_only: bool = False
    """True when the policy looks at labels nobody bought."""


@dataclass(slots=True, kw_only=True)
class AlgorithmConfig:
    """The batch, the loss and the optimizer."""

    batch: int = 64
    """B, prompts a step."""
    group_size: int = 8
    """G, rollouts a prompt."""
    mini_batch: int = 64
    """Prompts per optimizer update."""
    micro_batch: int = 64
    """Responses per forward pass and rank."""
    loss: PluginConfig = field(default_factory=PluginConfig)
    lr: float = 1e-6
    weight_decay: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.999
    warmup_steps: int = 0
    clip_grad: float = 1.0
    logit_chunk: int = 4096
    """Tokens whose logits exist at once."""

    def __post_init__(self) -> None:
        """Check ranges and divisibility."""
        for name in ("batch", "mini_batch", "micro_batch", "logit_chunk"):
            _at_least(f"algorithm.{name}", getattr(self, name), 1)
        _at_least("algorithm.group_size", self.group_size, 2)
        _at_least("algorithm.warmup_steps", self.warmup_steps, 0)
        if self.batch % self.mini_batch:
            raise UserError(
                f"algorithm.mini_batch={self.mini_batch} does not divide algorithm.batch="
                f"{self.batch}"
            )
        for name in ("lr", "clip_grad"):
            if not 0 < getattr(self, name) < math.inf:
                raise UserError(f"algorithm.{name}={getattr(self, name)} must be above 0")
        if not 0 <= self.weight_decay < math.inf:
            raise UserError(f"algorithm.weight_decay={self.weight_decay} must not be negative")
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"algorithm.{name}={getattr(self, name)} is outside [0, 1)")


@dataclass(slots=True, kw_only=True)
class EvalConfig:
    """Evaluation on held-out prompts, at the start, the end and every `eval_every` steps."""

    samples: int = 8
    temperature: float = 1.0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        """Check ranges."""
        _at_least("eval.samples", self.samples, 1)
        if not (self.temperature > 0 and 0 < self.top_p <= 1):
            raise UserError("eval.temperature must be above 0 and eval.top_p in (0, 1]")


@dataclass(slots=True, kw_only=True)
class DeepspeedConfig:
    """ZeRO-3, always; what may move to host memory."""

    offload_optimizer: Offload = Offload.none
    offload_params: Offload = Offload.none
    gradient_checkpointing: bool = False
    persistence_threshold: int = 10_000
    """Parameters smaller than this stay whole on every rank."""


@dataclass(slots=True, kw_only=True)
class TrackingConfig:
    """Dashboards."""

    kind: Tracking = Tracking.none
    project: str = "rlavr_hpc"
    entity: str | None = None


@dataclass(slots=True, kw_only=True)
class ClusterConfig:
    """How this process shares its node."""

    threads: int = 0
    """Per rank; 0 = cores / (ranks x runs on the node)."""
    runs_per_node: int = 1

    def __post_init__(self) -> None:
        """Check ranges."""
        _at_least("cluster.threads", self.threads, 0)
        _at_least("cluster.runs_per_node", self.runs_per_node, 1)


@dataclass(slots=True, kw_only=True)
class RunConfig:
    """Everything a run is made from."""

    name: str = "run"
    seed: int = 1
    steps: int = 150
    budget: float | None = None
    """p, the share of a step's prompts whose label may be bought; null = the policy's default."""
    budget_total: int | None = None
    """Cap on new labels over the run; at the cap the run goes on without buying."""
    reuse_labels: bool = True
    """A label bought once is remembered and free afterwards."""
    unlabelled: Unlabelled | None = None
    """null = the policy's default."""
    eval_every: int = 50
    save_every: int = 50
    root: str = "runs"
    run_dir: str | None = None
    allow_change: list[str] = field(default_factory=list)
    audit: bool = True
    """Also report numbers that need labels nobody bought, under `oracle/`, outside of training."""
    model: ModelConfig = MISSING
    data: DataConfig = MISSING
    rollout: RolloutConfig = MISSING
    reward: PluginConfig = MISSING
    acquisition: AcquisitionConfig = MISSING
    algorithm: AlgorithmConfig = MISSING
    eval: EvalConfig = field(default_factory=EvalConfig)
    deepspeed: DeepspeedConfig = MISSING
    tracking: TrackingConfig = MISSING
    cluster: ClusterConfig = field(default_factory=ClusterConfig)

    def __post_init__(self) -> None:
        """Fill in the policy's defaults and check what spans groups."""
        _check_name(self.name)
        _at_least("steps", self.steps, 1)
        _at_least("seed", self.seed, 0)
        _at_least("eval_every", self.eval_every, 0)
        _at_least("save_every", self.save_every, 0)
        self.budget = _checked_budget(self.budget, self.acquisition)
        self.unlabelled = self.unlabelled or self.acquisition.default_unlabelled
        if self.budget_total is not None:
            _at_least("budget_total", self.budget_total, 0)
        if self.unlabelled is Unlabelled.drop and (self.quota == 0 or self.budget_total == 0):
            raise UserError(
                f"acquisition={self.acquisition.name} may buy no label here and unlabelled=drop "
                "trains on none but bought ones: nothing would be learnt; use unlabelled=pseudo"
            )
        if self.model.source is ModelSource.testbed and self.data.kind is DataKind.testbed:
            return
        if self.data.kind is DataKind.testbed:
            raise UserError("data=testbed asks questions only model=testbed has read about")

    @property
    def quota(self) -> int:
        """New labels a step may buy: ceil(p*B), safe against rounding of p*B."""
        assert self.budget is not None
        return max(0, math.ceil(self.budget * self.algorithm.batch - 1e-9))

    @property
    def budget_effective(self) -> float:
        """The share that `quota` really is: 0.02 of 64 prompts is 2 of 64, 3.1%."""
        return self.quota / self.algorithm.batch

    @property
    def updates_per_step(self) -> int:
        """Optimizer updates per step."""
        return self.algorithm.batch // self.algorithm.mini_batch


def _at_least(key: str, value: int, least: int) -> None:
    if value < least:
        raise UserError(f"{key}={value} must be at least {least}")


def _check_name(name: str) -> None:
    if not name or not all(c.isalnum() or c in "._-" for c in name) or name.startswith("."):
        raise UserError(f"name={name!r}: use letters, digits, '.', '_' and '-' only")


def _checked_budget(budget: float | None, policy: AcquisitionConfig) -> float:
    if budget is None:
        return policy.default_budget
    if not 0 <= budget <= 1:
        raise UserError(
            f"budget={budget} is outside [0, 1]: it is the share of prompts whose label may be "
            "bought, e.g. budget=0.2"
        )
    if policy.fixed_budget and budget != policy.default_budget:
        raise UserError(
            f"budget={budget} contradicts acquisition={policy.name}, whose budget is always "
            f"{policy.default_budget:g}; leave budget out or choose another acquisition"
        )
    if not policy.fixed_budget and budget == 0:
        raise UserError(f"budget=0 leaves acquisition={policy.name} idle; use acquisition=none")
    return budget


def resolve(config: DictConfig) -> RunConfig:
    """Turn a composed Hydra config into a checked `RunConfig`.

    Raises:
        UserError: a value of the wrong type, a missing value, or an impossible combination.
    """
    try:
        resolved = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(RunConfig), config))
    except OmegaConfBaseException as error:
        raise UserError(_first_line(error)) from error
    except AttributeError as error:  # slots refuse a key that +key=value added
        kind, key = re.findall(r"'(\w+)'", str(error))
        raise UserError(f"{key}: no such key in {kind}") from error
    assert isinstance(resolved, RunConfig)
    return resolved


def _first_line(error: OmegaConfBaseException) -> str:
    key = getattr(error, "full_key", None)
    text = str(error).splitlines()[0]
    return f"{key}: {text}" if key else text


def to_dict(config: RunConfig) -> dict[str, Any]:
    """Plain nested values, as `config.yaml` holds them."""
    plain: dict[str, Any] = OmegaConf.to_container(  # type: ignore[assignment]
        OmegaConf.create(asdict(config)), resolve=True, enum_to_str=True
    )
    return {"version": CONFIG_VERSION, **plain}


def from_dict(values: Mapping[str, Any]) -> RunConfig:
    """The inverse of `to_dict`.

    Raises:
        UserError: written by a newer version of this program, or not a config.
    """
    version = values.get("version")
    if version != CONFIG_VERSION:
        raise UserError(f"config version {version!r} is not {CONFIG_VERSION}, the one known here")
    return resolve(OmegaConf.create({k: v for k, v in values.items() if k != "version"}))


def identity(config: RunConfig) -> dict[str, Any]:
    """The flat keys and values that decide a run's results."""
    nested = {k: v for k, v in to_dict(config).items() if k not in NOT_IDENTITY}
    return dict(_flatten(nested))


def hash8(config: RunConfig) -> str:
    """Eight hex digits that name a run: equal for equal results, whatever steps or folder."""
    return hashlib.sha256(canonical_json(identity(config)).encode()).hexdigest()[:8]


def with_run_dir(config: RunConfig, run_dir: str) -> RunConfig:
    """The same run in another folder."""
    return replace(config, run_dir=run_dir)


def changed_keys(old: RunConfig, new: RunConfig) -> dict[str, tuple[Any, Any]]:
    """Keys that decide results and differ, with their old and new values."""
    before, after = identity(old), identity(new)
    return {
        key: (before.get(key), after.get(key))
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    }


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
