"""The trainer's states are offloaded while the rollout engine needs the device's memory.

The order matters: offload the states, empty torch's cache, wake the engine's weights, sync, free
the gathered weights, wake the engine's cache, generate, put the engine to sleep, empty torch's
cache, reload the states. The bfloat16 weights stay on the device: the sync gathers them.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable
from typing import Any

import torch

MOVED_BY_DEEPSPEED = ("lp_grads", "contiguous_grad_buffer")
"""DeepSpeed can move the optimizer's states and fp32 weights too, but only for its own fused
optimizer, which needs CUDA's toolkit; and it would leave its host copies in the optimizer's state,
and so in every checkpoint."""


class OffloadedTensors:
    """Tensors that keep their identity while their values are in host memory."""

    def __init__(self) -> None:
        """Nothing is offloaded yet."""
        self._host: dict[int, torch.Tensor] = {}
        self._away: list[tuple[torch.Tensor, torch.Tensor, torch.device]] = []

    def offload(self, tensors: Iterable[torch.Tensor]) -> None:
        """Move values to host memory, page-locked where there is an accelerator.

        The host memory is kept and reused for the tensor at the same position next time.
        """
        for number, tensor in enumerate(tensors):
            host = self._host.get(number)
            if host is None or host.shape != tensor.shape or host.dtype != tensor.dtype:
                locked = torch.cuda.is_available()
                host = torch.empty_like(tensor, device="cpu", pin_memory=locked)
                self._host[number] = host
            host.copy_(tensor.detach())
            self._away.append((tensor, host, tensor.device))
            tensor.data = host

    def reload(self) -> None:
        """Move them back; always into memory of their own, even where that is the host's."""
        for tensor, host, device in self._away:
            tensor.data = host.to(device, copy=True)
        self._away.clear()


class TrainingStates:
    """Optimizer states, fp32 weights and gradient buffers of a DeepSpeed ZeRO-3 engine."""

    def __init__(self, engine: Any) -> None:  # noqa: ANN401  deepspeed has no types
        """They are on the device."""
        self._engine = engine
        self._offloaded = OffloadedTensors()
        self._are_offloaded = False

    def offload(self) -> None:
        """Move them to host memory, unless they are there."""
        if self._are_offloaded:
            return
        optimizer = self._engine.optimizer
        self._offloaded.offload([*optimizer.fp32_partitioned_groups_flat, *_moments(optimizer)])
        self._engine.offload_states(include=MOVED_BY_DEEPSPEED, pin_memory=True, non_blocking=False)
        self._are_offloaded = True

    def reload(self) -> None:
        """Move them to the device, unless they are there."""
        if not self._are_offloaded:
            return
        self._offloaded.reload()
        self._engine.reload_states(non_blocking=False)
        self._are_offloaded = False


def _moments(zero_optimizer: Any) -> list[torch.Tensor]:  # noqa: ANN401
    """Adam's averages, group by group; its counts of steps are single numbers and stay."""
    states = zero_optimizer.optimizer.state
    return [
        states[group][name]
        for group in zero_optimizer.fp32_partitioned_groups_flat
        for name in ("exp_avg", "exp_avg_sq")
        if name in states.get(group, {})
    ]


def release_unused_memory() -> None:
    """Return torch's cached accelerator memory, so that others can use it."""
    if torch.cuda.is_available():
        gc.collect()
        torch.cuda.empty_cache()
