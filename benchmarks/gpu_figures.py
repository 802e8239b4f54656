"""The arithmetic of `benchmarks.gpu`: shapes, operations, the time budget, the table. No torch."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

TFLOP = 1e12
GIB = 1 << 30
PEAKS = {
    "GB200": 2500.0,
    "B200": 2250.0,
    "H200 NVL": 835.0,
    "H200": 989.0,
    "GH200": 989.0,
    "H100 PCIe": 756.0,
    "H100 NVL": 835.0,
    "H100": 989.0,
    "A100": 312.0,
    "L40S": 362.0,
    "RTX A6000": 155.0,
}
"""Part of a device's name -> TFLOP/s in bfloat16 without sparsity, from NVIDIA's data sheets; the
first part that fits counts."""
STATES_BYTES = 18
"""Per parameter while training on one device: 2 weights, 4 gradients, 12 fp32 weights and Adam's
averages."""
SHARE_FOR_STATES = 0.7
"""Of a device's memory; activations, logits and the gathered layers need the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A Qwen3 model and the work it is given."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    prompts: int
    group: int
    prompt_tokens: int
    response_tokens: int
    micro_batch: int
    """Sequences; the tokens of a micro-batch follow from the lengths, and nothing is padded."""
    micro_batches: tuple[int, int]
    """Of a short and a long update, whose difference is free of the optimizer's time."""
    start_seconds: float
    """What loading it should leave of the budget at least."""
    part_seconds: float
    """The same for each measurement."""

    @property
    def parameters(self) -> int:
        """All of a Qwen3 with tied embeddings, norms included."""
        attention = self.hidden * self.head_dim * (2 * self.heads + 2 * self.kv_heads)
        norms = 2 * self.hidden + 2 * self.head_dim
        layer = attention + 3 * self.hidden * self.intermediate + norms
        return self.vocabulary * self.hidden + self.layers * layer + self.hidden

    @property
    def micro_batch_tokens(self) -> int:
        """Prompt and response tokens of a micro-batch."""
        return self.micro_batch * (self.prompt_tokens + self.response_tokens)


SHAPES = {
    "qwen3-0.6b": Shape(
        hidden=1024,
        intermediate=3072,
        layers=28,
        heads=16,
        kv_heads=8,
        head_dim=128,
        vocabulary=151_936,
        prompts=16,
        group=8,
        prompt_tokens=1024,
        response_tokens=1024,
        micro_batch=8,
        micro_batches=(2, 8),
        start_seconds=90,
        part_seconds=25,
    ),
    "qwen3-4b": Shape(
        hidden=2560,
        intermediate=9728,
        layers=36,
        heads=32,
        kv_heads=8,
        head_dim=128,
        vocabulary=151_936,
        prompts=8,
        group=8,
        prompt_tokens=1024,
        response_tokens=1024,
        micro_batch=8,
        micro_batches=(1, 4),
        start_seconds=150,
        part_seconds=45,
    ),
    "tiny": Shape(
        hidden=64,
        intermediate=128,
        layers=2,
        heads=4,
        kv_heads=2,
        head_dim=32,
        vocabulary=512,
        prompts=4,
        group=4,
        prompt_tokens=16,
        response_tokens=16,
        micro_batch=4,
        micro_batches=(1, 3),
        start_seconds=1,
        part_seconds=0.1,
    ),
}
"""Qwen3-0.6B and 4B as their config.json has them, smallest first."""


class Budget:
    """Seconds that are left."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Starts now."""
        self._clock = clock
        self._end = clock() + seconds

    @property
    def left(self) -> float:
        """Seconds; below 0 when overdrawn."""
        return self._end - self._clock()

    def allows(self, seconds: float) -> bool:
        """Whether as much is left."""
        return self.left >= seconds


def stated_peak(device: str) -> float | None:
    """TFLOP/s of a device in bfloat16; None when it is not known here."""
    return next((peak for part, peak in PEAKS.items() if part in device), None)


def utilization(
    *, parameters: int, tokens_per_second: float, peak_tflops: float, operations: int = 6
) -> float:
    """Share of the peak: 6 operations a parameter and token (2 forward, 4 backward).

    Operations of attention are left out; with 8 the forward pass that gradient checkpointing does
    again counts as work. Source: Kaplan et al., arXiv 2001.08361.
    """
    return operations * parameters * tokens_per_second / (peak_tflops * TFLOP)


def offloads_optimizer(parameters: int, device_bytes: int) -> bool:
    """Whether the optimizer has to stay on the host for the model to be trained on this device."""
    return parameters * STATES_BYTES > device_bytes * SHARE_FOR_STATES


def marginal_rate(*, tokens: tuple[int, int], seconds: tuple[float, float]) -> float | None:
    """Tokens a second without what every update costs, from a short and a long one."""
    more = seconds[1] - seconds[0]
    return (tokens[1] - tokens[0]) / more if more > 0 else None


ANCHORS: dict[str, dict[str, str]] = {
    "qwen3-0.6b": {
        "train_tokens_per_second_compute": "16,450 prime-rl, 1xH100, 16k, with recompute",
        "train_tokens_per_second": "11,896 prime-rl's own figure, 1xH100, 16k",
        "mfu": "15% prime-rl, compute only (11.1% by its own figure)",
        "generate_tokens_per_second": "none published",
        "step_tokens_per_second": "none published for TRL colocated",
    },
    "qwen3-4b": {
        "train_tokens_per_second_compute": "6,990 prime-rl, a GPU of 8xH100, 16k",
        "train_tokens_per_second": "3,253 prime-rl's own figure, a GPU of 8xH100; LoRA r16, "
        "1xH100: 6,229",
        "mfu": "30% prime-rl, compute only; LoRA r16, 1xH100: 21.7%",
        "generate_tokens_per_second": "none published",
        "step_tokens_per_second": "1,581 NeMo-RL, Llama-3.1-8B, a GPU of 16xH100",
    },
}
"""Model -> figure -> what others published; of other batches, so a hint and no race."""
FIGURES = {
    "agreement_after_sync": "mean absolute difference of log-probabilities after a sync",
    "agreement_after_update": "the same after an update and a sync",
    "moved_by_updates": "how far the updates moved the policy on the same tokens",
    "generate_tokens_per_second": "generated tokens/s",
    "score_tokens_per_second": "scored tokens/s",
    "train_tokens_per_second": "trained tokens/s, optimizer included",
    "train_tokens_per_second_compute": "trained tokens/s, forward and backward alone",
    "mfu": "MFU of the latter, 6 operations a parameter and token",
    "mfu_with_recompute": "the same with 8: the second forward pass counts",
    "sync_seconds": "sync, all told, s",
    "wake_weights_seconds": "of it waking for weights, s",
    "wake_kv_cache_seconds": "of it waking for the cache, s",
    "states_off_seconds": "of it the trainer's states leaving the device, s",
    "states_back_seconds": "and coming back, s",
    "sleep_seconds": "sleep, s",
    "peak_allocated_gib": "peak of torch's tensors, GiB",
    "peak_reserved_gib": "peak of torch's allocator, GiB",
    "least_free_gib": "least free on the device between parts, GiB",
    "step_seconds": "whole step, s",
    "step_tokens_per_second": "generated tokens/s over the whole step",
}
"""Figure -> words for it, in the table's order."""


def table(result: Mapping[str, Any]) -> str:
    """The figures beside the anchors, as Markdown."""
    model, figures = result["model"], result["figures"]
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    lines = [
        f"## {model}: measured on {result['measured_on']} ({result['device']})",
        "",
        f"{versions}; peak {_peak(result)}; {result['settings']}",
        "",
        "| figure | here | others |",
        "|---|---|---|",
    ]
    for name, words in FIGURES.items():
        anchor = ANCHORS.get(model, {}).get(name, "")
        lines.append(f"| {words} | {_cell(name, figures.get(name))} | {anchor} |")
    lines += [f"- {note}" for note in result["notes"]]
    return "\n".join(lines)


def _peak(result: Mapping[str, Any]) -> str:
    peak = result["peak_tflops"]
    return "not stated" if peak is None else f"{peak:g} TFLOP/s in bfloat16"


def _cell(name: str, value: float | None) -> str:
    if value is None:
        return "not measured"
    if name.startswith("mfu"):
        return f"{value:.1%}"
    if name.startswith(("agreement", "moved")):
        return f"{value:.2e}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
