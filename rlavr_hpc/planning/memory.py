"""What a rank holds in each phase of a step, in bytes.

The trainer's states are ZeRO's (arXiv 1910.02054, section 3.1) as DeepSpeed's stage 3 keeps them:
shares of the weights, and in float32, whatever the weights are, a master copy, two moments and the
gradient. The quantities that the formulas share are in `sizes`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rlavr_hpc.config.deepspeed import Offload
from rlavr_hpc.config.rollout import Engine
from rlavr_hpc.planning.sizes import FLOAT, Sizes, activations, layer_activations

GIB = 1 << 30
REDUCED_AT_ONCE = 500_000_000
"""DeepSpeed's `reduce_bucket_size`."""
WEIGHTS = ("weights' share", "reference's share")
"""Of the trainer's states, those that stay while the others are with the host: the sync gathers
them."""
GATHERED_AT_ONCE = 1_000_000_000
"""DeepSpeed's `stage3_max_live_parameters`."""
UPDATED_AT_ONCE = 1_000_000_000
"""DeepSpeed's `sub_group_size`."""
LOGIT_BYTES = 16
"""Of a logit of a chunk: it, its softmax, and two products of theirs, in float32."""
DRAWN_BYTES = 40
"""Of a logit that Transformers draws from: five copies, some in float64."""
BASE_GIB = {Engine.hf: 0.58, Engine.vllm: 1.80}
"""A process on CPU without a model: Python, torch, DeepSpeed, (vLLM), graders. Measured."""
VLLM_COPIES_ON_CPU = 2
"""Weights, and once more as its kernels like them. Measured."""
HOST_BASE_GIB = 8.0
"""A process beside a GPU. Assumed."""
CONTEXT_GIB = {Engine.hf: 1.5, Engine.vllm: 3.0}
"""CUDA context, NCCL, (graphs of a sleeping vLLM), fragments. Assumed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """What a rank holds, by what it is for, in bytes."""

    name: str
    device: dict[str, float] = field(default_factory=dict)
    """On the accelerator; empty on CPU."""
    host: dict[str, float] = field(default_factory=dict)


def phases(sizes: Sizes) -> list[Phase]:
    """A step's phases in order, after the start and before the checkpoint."""
    trainer, engine = _trainer(sizes), _engine(sizes)
    beside = engine if _engine_stays(sizes) else {}
    stay = {name: held for name, held in trainer.items() if name in WEIGHTS}
    if not _offloads_states(sizes):
        stay = trainer
    away = sum(trainer.values()) - sum(stay.values())
    parked = {"parked states": away} if away else {}
    train = {**trainer, **beside, **_gathered(sizes), **_training(sizes)}
    device = [
        Phase(name="start", device={**stay, **engine, **_gathered(sizes)}, host=parked),
        Phase(name="sync", device={**stay, **_synced(sizes)}, host=parked),
        Phase(name="generate", device={**stay, **engine, **_drawing(sizes)}, host=parked),
        Phase(name="score", device={**trainer, **beside, **_gathered(sizes), **_scoring(sizes)}),
        Phase(name="train", device=train),
        Phase(name="checkpoint", device=train, host=_copy(sizes)),
    ]
    return [_placed(phase, sizes) for phase in device]


def _placed(phase: Phase, sizes: Sizes) -> Phase:
    """With what every phase has, and all of it in host memory on CPU."""
    engine = sizes.config.rollout.engine
    if not sizes.on_gpu:
        base = {"process": BASE_GIB[engine] * GIB}
        return Phase(name=phase.name, host=base | _offloaded(sizes) | phase.device | phase.host)
    return Phase(
        name=phase.name,
        device={"context": CONTEXT_GIB[engine] * GIB} | phase.device,
        host={"process": HOST_BASE_GIB * GIB} | _offloaded(sizes) | phase.host,
    )


def _trainer(sizes: Sizes) -> dict[str, float]:
    """States that stay from step to step, where the accelerator keeps them."""
    deepspeed = sizes.config.deepspeed
    held = {}
    if deepspeed.offload_params is Offload.none:
        held["weights' share"] = sizes.held_share
    if deepspeed.offload_optimizer is Offload.none:
        held["master copy, moments"] = 3 * FLOAT * sizes.trained_share
        held["gradient"] = FLOAT * sizes.trained_share
    if sizes.config.algorithm.loss.settings.get("kl_coef") and not sizes.config.lora.rank:
        held["reference's share"] = sizes.weight * sizes.share
    return held


def _offloaded(sizes: Sizes) -> dict[str, float]:
    deepspeed = sizes.config.deepspeed
    held = {}
    if deepspeed.offload_params is not Offload.none:
        held["offloaded weights"] = sizes.held_share
    if deepspeed.offload_optimizer is not Offload.none:
        held["offloaded optimizer"] = 4 * FLOAT * sizes.trained_share
    return held


def _offloads_states(sizes: Sizes) -> bool:
    return sizes.on_gpu and sizes.config.deepspeed.offload_states


def _engine(sizes: Sizes) -> dict[str, float]:
    """The engine that generates, awake."""
    rollout, accelerator = sizes.config.rollout, sizes.machines.accelerator
    if rollout.engine is Engine.hf:
        return {"Transformers' copy": sizes.weights}
    if accelerator is None:
        return {"vLLM's copies": VLLM_COPIES_ON_CPU * sizes.weights / rollout.tensor_parallel}
    return {"vLLM": rollout.gpu_memory_utilization * accelerator.memory_gib * GIB}


def _engine_stays(sizes: Sizes) -> bool:
    """Whether it holds its memory while the policy trains: vLLM sleeps on a GPU."""
    return not sizes.on_gpu or sizes.config.rollout.engine is Engine.hf


def _gathered(sizes: Sizes) -> dict[str, float]:
    """Whole weights of layers around the present one; a lone rank uses its own in place."""
    alone = sizes.machines.ranks == 1 and sizes.config.deepspeed.offload_params is Offload.none
    if alone:
        return {}
    return {"gathered weights": sizes.weight * min(sizes.shape.parameters, GATHERED_AT_ONCE)}


def _synced(sizes: Sizes) -> dict[str, float]:
    rollout, shape = sizes.config.rollout, sizes.shape
    largest = shape.embedding_parameters * sizes.weight
    bucket = min(sizes.weights, max(rollout.sync_bucket_mib << 20, largest) + largest)
    if not sizes.on_gpu or rollout.engine is Engine.hf:
        engine = _engine(sizes)
    else:
        engine = {"vLLM's weights": sizes.weights / rollout.tensor_parallel}
    alone = sizes.machines.ranks == 1
    return engine if alone else {**engine, "sync bucket": bucket}


def _drawing(sizes: Sizes) -> dict[str, float]:
    """Transformers' cache, the longest layer of it twice, and logits; vLLM has its own inside."""
    rollout = sizes.config.rollout
    tokens = sizes.at_once * sizes.longest
    cache = tokens * sizes.cache_per_token
    if rollout.engine is Engine.hf:
        logits = sizes.at_once * sizes.shape.vocabulary * DRAWN_BYTES
        return {"cache": cache * (1 + 1 / sizes.shape.layers), "logits": logits}
    return {} if sizes.on_gpu else {"cache": min(cache, rollout.kv_cache_gib * GIB)}


def _scoring(sizes: Sizes) -> dict[str, float]:
    """One layer's tensors and a chunk of logits: nothing is kept for a backward pass."""
    layer = layer_activations(sizes) * sizes.micro_tokens
    return {"activations": layer, "logits": sizes.chunk * sizes.shape.vocabulary * LOGIT_BYTES}


def _training(sizes: Sizes) -> dict[str, float]:
    """The larger of the backward pass and the optimizer's step."""
    shape, b = sizes.shape, sizes.weight
    reduced = min(sizes.trained, REDUCED_AT_ONCE)
    bucket = REDUCED_AT_ONCE if sizes.on_gpu else reduced  # memory untouched counts on no CPU
    head = 0 if sizes.config.lora.rank else shape.embedding_parameters * (2 * FLOAT + b)
    backward = {
        "activations": activations(sizes),
        "logits": sizes.chunk * shape.vocabulary * LOGIT_BYTES,
        "head's gradient": head,
        "gradient buckets": b * (bucket + reduced + reduced / sizes.machines.ranks),
    }
    step = {"optimizer's step": 3.0 * FLOAT * min(sizes.trained_share, UPDATED_AT_ONCE)}
    offloads = sizes.on_gpu and sizes.config.deepspeed.offload_optimizer is not Offload.none
    return backward if offloads else max(backward, step, key=lambda part: sum(part.values()))


def _copy(sizes: Sizes) -> dict[str, float]:
    """What a checkpoint that is written in the background has copied."""
    background = sizes.config.checkpoint.background
    return {"checkpoint's copy": 3 * FLOAT * sizes.trained_share} if background else {}
