"""The product's own parts, with a stopwatch, as `benchmarks.gpu` measures them."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, Qwen3Config

from benchmarks.gpu_figures import GIB, Shape, offloads_optimizer
from rlavr_hpc.config.algorithm import AlgorithmConfig
from rlavr_hpc.config.deepspeed import DeepspeedConfig, Offload
from rlavr_hpc.config.model import Dtype
from rlavr_hpc.learning.losses.grpo import GrpoLoss
from rlavr_hpc.rollout.vllm_engine import VllmEngine, VllmEngineConfig
from rlavr_hpc.trainer.policy.deepspeed_policy import DeepspeedPolicy
from rlavr_hpc.trainer.policy.settings import PolicySettings
from rlavr_hpc.training_types import MiniBatch, Sample
from rlavr_hpc.types import Prompt, Rollout

SEEN_LR = 1e-3
"""Far more than anybody trains with: the updates must show in the log-probabilities."""
WIDTH_OF_USUAL_WEIGHTS = 1024
"""A hidden size at which weights of 0.02 give logits that differ clearly."""


class Stopwatch:
    """The last seconds of whatever was timed, the device's work included."""

    def __init__(self) -> None:
        """Nothing is timed."""
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Time a block."""
        synchronize()
        start = time.perf_counter()
        yield
        synchronize()
        self.seconds[name] = time.perf_counter() - start


class TimedEngine(VllmEngine):
    """Tells how long sleeping and waking take."""

    watch = Stopwatch()

    def _free_memory(self) -> None:
        with self.watch("sleep"):
            super()._free_memory()

    def _wake(self, tag: str) -> None:
        with self.watch(f"wake_{tag}"):
            super()._wake(tag)


class TimedPolicy(DeepspeedPolicy):
    """Tells how long its states take to leave and to come back."""

    watch = Stopwatch()

    def offload_states(self) -> None:
        """See `DeepspeedPolicy`."""
        with self.watch("states_off"):
            super().offload_states()

    def reload_states(self) -> None:
        """See `DeepspeedPolicy`."""
        with self.watch("states_back"):
            super().reload_states()


def synchronize() -> None:
    """Wait for the device."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def write_model(shape: Shape, folder: Path, *, device: torch.device) -> None:
    """Random weights in Hugging Face's format; made on the device, where that is quick."""
    config = Qwen3Config(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        head_dim=shape.head_dim,
        max_position_embeddings=40_960,
        tie_word_embeddings=True,
        initializer_range=0.02 * max(1.0, (WIDTH_OF_USUAL_WEIGHTS / shape.hidden) ** 0.5),
        bos_token_id=None,
        eos_token_id=shape.vocabulary - 1,
        pad_token_id=shape.vocabulary - 1,
    )
    torch.manual_seed(1)
    with device:
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    assert model.num_parameters() == shape.parameters
    model.save_pretrained(folder)


def placement(shape: Shape, device: torch.device) -> DeepspeedConfig:
    """Trainer's states off the device during generation, or always where they do not fit."""
    if device.type == "cuda":
        whole = torch.cuda.get_device_properties(device).total_memory
        if offloads_optimizer(shape.parameters, whole):
            return DeepspeedConfig(offload_optimizer=Offload.cpu, gradient_checkpointing=True)
    return DeepspeedConfig(offload_states=True, gradient_checkpointing=True)


def start_policy(
    shape: Shape, folder: Path, *, device: torch.device, memory: DeepspeedConfig
) -> TimedPolicy:
    """The trainer on one rank."""
    settings = PolicySettings(
        model_path=folder,
        dtype=Dtype.bfloat16,
        attention="auto",
        trust_remote_code=False,
        pad_id=shape.vocabulary - 1,
        temperature=1.0,
        algorithm=AlgorithmConfig(micro_batch=shape.micro_batch, lr=SEEN_LR),
        deepspeed=memory,
    )
    return TimedPolicy(settings, loss=GrpoLoss(), device=device)


def start_engine(shape: Shape, folder: Path) -> TimedEngine:
    """VLLM beside it. Responses end at the limit: there is no stop token to be drawn."""
    config = VllmEngineConfig(
        model_path=folder,
        dtype="bfloat16",
        stop_ids=frozenset(),
        max_length=shape.prompt_tokens + shape.response_tokens,
        max_sequences=shape.prompts * shape.group,
        tensor_parallel=1,
        gpu_memory_utilization=0.5,
        kv_cache_gib=1,
        trust_remote_code=False,
    )
    return TimedEngine(config, rank=0, world_size=1, decode=lambda token_ids: "")


def draw_prompts(shape: Shape) -> list[Prompt]:
    """Random tokens, the last of the vocabulary apart: it ends a response."""
    rng, tokens = random.Random(1), range(shape.vocabulary - 1)
    drawn = [rng.choices(tokens, k=shape.prompt_tokens) for _ in range(shape.prompts)]
    return [
        Prompt(id=str(number), text="", task="math", token_ids=tuple(ids))
        for number, ids in enumerate(drawn)
    ]


def as_samples(prompts: Sequence[Prompt], rollouts: Sequence[Sequence[Rollout]]) -> list[Sample]:
    """Half of the responses praised, half blamed."""
    return [
        Sample(
            key=(rollout.prompt_id, rollout.sample),
            prompt_ids=prompt.token_ids,
            response_ids=rollout.token_ids,
            sampler_logprobs=rollout.logprobs,
            advantage=1.0 if rollout.sample % 2 else -1.0,
        )
        for prompt, group in zip(prompts, rollouts, strict=True)
        for rollout in group
    ]


def as_batch(samples: Sequence[Sample]) -> MiniBatch:
    """One update of them all."""
    tokens = sum(len(s.response_ids) for s in samples)
    return MiniBatch(samples=samples, response_tokens=tokens, responses=len(samples))


def tokens_of(samples: Sequence[Sample]) -> int:
    """Prompt and response tokens."""
    return sum(len(s.prompt_ids) + len(s.response_ids) for s in samples)


def mean_difference(policy: DeepspeedPolicy, samples: Sequence[Sample]) -> float:
    """Mean |log-probability of the trainer - that of vLLM| over the tokens that vLLM drew."""
    trainer = policy.score(samples).old_logprobs()
    theirs = torch.tensor([value for s in samples for value in s.sampler_logprobs])
    ours = torch.cat([trainer[s.key] for s in samples])
    return float((ours - theirs).abs().mean())


def peaks() -> dict[str, float]:
    """Most memory of torch on the device until now; nothing without one."""
    if not torch.cuda.is_available():
        return {}
    return {
        "peak_allocated_gib": torch.cuda.max_memory_allocated() / GIB,
        "peak_reserved_gib": torch.cuda.max_memory_reserved() / GIB,
    }
