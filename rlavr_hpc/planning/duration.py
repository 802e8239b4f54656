"""Seconds of a step on accelerators, by rooflines (Williams et al., 2009) and stated assumptions.

A forward pass takes 2 operations per weight and token and 2LTQ for attention to half of T tokens
(Q width of all queries); a backward pass twice that (Kaplan et al., arXiv 2001.08361), or once
where adapters are trained, and one forward pass more where activations are computed again. Decoding
reads all weights and the caches per token. ZeRO-3 sends the weights to every rank for each pass,
and gradients back.
"""

from __future__ import annotations

from dataclasses import dataclass

from rlavr_hpc.config.rollout import Engine
from rlavr_hpc.planning.hardware import Accelerator
from rlavr_hpc.planning.memory import GIB
from rlavr_hpc.planning.sizes import Sizes

GIGA, TERA = 1e9, 1e12
PROMPT_SHARE = 0.25
"""Assumed mean length of a prompt over its limit."""
RESPONSE_SHARE = 0.5
"""The same of a response."""
OTHER_SHARE = 0.1
"""Assumed share of a step for grading, buying and all else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seconds:
    """Of a step, by phase."""

    generate: float
    sync: float
    score: float
    train: float

    @property
    def step(self) -> float:
        """All, and what else a step does."""
        return (self.generate + self.sync + self.score + self.train) / (1 - OTHER_SHARE)


def seconds(sizes: Sizes) -> Seconds | None:
    """How long a step takes; None on CPU, whose speed nobody assumes here."""
    accelerator = sizes.machines.accelerator
    if accelerator is None:
        return None
    algorithm, ranks = sizes.config.algorithm, sizes.machines.ranks
    tokens = algorithm.batch * algorithm.group_size * (_prompt(sizes) + mean_response(sizes))
    passes = tokens * _forward(sizes, _prompt(sizes) + mean_response(sizes))
    reach = accelerator.tflops * TERA * sizes.machines.mfu * ranks
    micro = max(1.0, tokens / ranks / sizes.micro_tokens)
    per_pass = _exchange(sizes)
    factor = 2 if sizes.config.lora.rank else 3  # frozen weights need no gradient of their own
    factor += bool(sizes.config.deepspeed.gradient_checkpointing)
    return Seconds(
        generate=_generation(sizes, accelerator),
        sync=per_pass + sizes.weights / (accelerator.memory_gb_s * GIGA),
        score=algorithm.oversample * max(passes / reach, micro * per_pass),
        train=max(factor * passes / reach, 3 * micro * per_pass),
    )


def mean_response(sizes: Sizes) -> float:
    """Tokens."""
    limit = sizes.config.rollout.max_response_tokens
    return min(limit, sizes.machines.mean_response or RESPONSE_SHARE * limit)


def _prompt(sizes: Sizes) -> float:
    return PROMPT_SHARE * sizes.longest_prompt


def _forward(sizes: Sizes, length: float) -> float:
    """Operations per token of a sequence of this length."""
    shape = sizes.shape
    return 2.0 * shape.matmul_parameters + 2.0 * shape.layers * length * shape.q_dim


def _exchange(sizes: Sizes) -> float:
    """Seconds in which a rank gets the weights that it has no share of."""
    ranks = sizes.machines.ranks
    return sizes.weights * (ranks - 1) / ranks / (sizes.machines.exchange_gb_s * GIGA)


def cache_room(sizes: Sizes) -> float:
    """Bytes for keys and values that an engine has on a GPU, after its weights."""
    accelerator, rollout = sizes.machines.accelerator, sizes.config.rollout
    assert accelerator is not None
    if rollout.engine is Engine.hf:
        return float(sizes.at_once * sizes.longest * sizes.cache_per_token)
    given = rollout.gpu_memory_utilization * accelerator.memory_gib * GIB
    return rollout.tensor_parallel * given - sizes.weights


def _generation(sizes: Sizes, accelerator: Accelerator) -> float:
    """Decoding until the longest response ends, and the prompts' prefill.

    As many sequences at a time as the cache has room for; the memory's bandwidth or the peak
    bounds every token, whichever is slower.
    """
    config, machines = sizes.config, sizes.machines
    rollout, algorithm = config.rollout, config.algorithm
    together = rollout.tensor_parallel
    prompts = -(-algorithm.drawn // sizes.replicas)
    length, mean = _prompt(sizes) + mean_response(sizes) / 2, mean_response(sizes)
    room = max(1.0, cache_room(sizes) / (sizes.cache_per_token * (length + mean / 2)))
    sequences = prompts * algorithm.group_size
    at_once = min(sequences, sizes.at_once, room)
    rounds = max(rollout.max_response_tokens, mean * sequences / at_once)
    busy = sequences * mean / rounds
    read = sizes.weights + busy * length * sizes.cache_per_token
    by_memory = read / (accelerator.memory_gb_s * GIGA * machines.bandwidth_share * together)
    reach = accelerator.tflops * TERA * machines.mfu * together
    by_compute = busy * _forward(sizes, 2 * length) / reach
    prefill = prompts * _prompt(sizes) * _forward(sizes, _prompt(sizes)) / reach
    return rounds * max(by_memory, by_compute) + prefill
