"""The policy's settings, and DeepSpeed's configuration made from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlavr_hpc.config.algorithm import AlgorithmConfig
from rlavr_hpc.config.deepspeed import DeepspeedConfig, Offload
from rlavr_hpc.config.lora import LoraConfig
from rlavr_hpc.config.model import Dtype
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.trainer.policy.tokenizer import TokenizerBundle


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySettings:
    """The policy's settings."""

    model_path: Path | str
    dtype: Dtype
    attention: str
    trust_remote_code: bool
    pad_id: int
    temperature: float
    algorithm: AlgorithmConfig
    deepspeed: DeepspeedConfig
    lora: LoraConfig = field(default_factory=LoraConfig)
    seed: int = 0
    """Of the run, for the adapters' initial values."""


def settings_of(config: RunConfig, bundle: TokenizerBundle) -> PolicySettings:
    """The settings of a run's policy."""
    return PolicySettings(
        model_path=bundle.path,
        dtype=config.model.dtype,
        attention=config.model.attention,
        trust_remote_code=config.model.trust_remote_code,
        pad_id=bundle.pad_id,
        temperature=config.rollout.temperature,
        algorithm=config.algorithm,
        deepspeed=config.deepspeed,
        lora=config.lora,
        seed=config.seed,
    )


def engine_config(settings: PolicySettings) -> dict[str, Any]:
    """DeepSpeed's configuration: ZeRO-3, one optimizer step per call of `step`."""
    zero: dict[str, Any] = {
        "stage": 3,
        "stage3_param_persistence_threshold": settings.deepspeed.persistence_threshold,
    }
    for kind, place in (
        ("offload_optimizer", settings.deepspeed.offload_optimizer),
        ("offload_param", settings.deepspeed.offload_params),
    ):
        if place is not Offload.none:
            zero[kind] = {"device": str(place)}
    return {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        "gradient_clipping": settings.algorithm.clip_grad,
        "bf16": {"enabled": settings.dtype is Dtype.bfloat16},
        "zero_optimization": zero,
        # partial sums rounded to bfloat16 would make an update depend on its micro-batches
        "data_types": {"grad_accum_dtype": "fp32"},
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
    }
