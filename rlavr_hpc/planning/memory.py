"""What a rank holds in each phase of a step, in bytes.

Shapes: P parameters, A trained ones, N ranks, b bytes of a weight, T tokens of a micro-batch, R of
them in responses, D hidden size, F feed-forward width, L layers, V vocabulary.

The trainer's states are ZeRO's (arXiv 1910.02054, section 3.1) as DeepSpeed's stage 3 keeps them:
shares of the weights, and in float32, whatever the weights are, a master copy, two moments and the
gradient. Activations are counted tensor by tensor as in arXiv 2205.05198, section 4, for a gated
feed-forward part and RMS norms, without attention scores, which fused attention never stores.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rlavr_hpc.config.data import DataKind
from rlavr_hpc.config.deepspeed import Offload
from rlavr_hpc.config.model import Dtype
from rlavr_hpc.config.rollout import Engine
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.planning.adapters import trained_parameters
from rlavr_hpc.planning.hardware import Machines
from rlavr_hpc.planning.shape import QK_NORM, ModelShape

GIB = 1 << 30
TESTBED_PROMPT = 7
"""Tokens of a question of the testbed."""
FLOAT = 4
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
        here = -(-algorithm.mini_batch * algorithm.group_size // self.machines.ranks)
        if algorithm.micro_tokens is None:
            return min(algorithm.micro_batch, here) * self.longest
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
