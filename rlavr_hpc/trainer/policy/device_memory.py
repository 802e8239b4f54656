"""The trainer's states leave the device while the rollout engine needs its memory.

Order, of which none may be exchanged: states off, empty cache, the engine's weights wake, sync,
gathered weights freed, its cache wakes, generation, sleep, empty cache, states back. The weights
themselves (bfloat16) stay: the sync gathers them.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable
from typing import Any

import torch

DEEPSPEEDS = ("lp_grads", "contiguous_grad_buffer")
"""What DeepSpeed moves itself. It moves the optimizer's states and fp32 weights, too, but only for
its own fused optimizer, which is compiled with CUDA's toolkit; and it would leave its host copies
in the optimizer's state, and so in every checkpoint."""


class ParkedTensors:
    """Tensors that keep their identity while their values are in host memory."""

    def __init__(self) -> None:
        """Nothing is parked."""
        self._host: dict[int, torch.Tensor] = {}
        self._away: list[tuple[torch.Tensor, torch.Tensor, torch.device]] = []

    def leave(self, tensors: Iterable[torch.Tensor]) -> None:
        """Move values to host memory, page-locked where there is an accelerator.

        The host memory is kept for the next time, in the order of the tensors.
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

    def come_back(self) -> None:
        """Move them to where they were; a copy of their own even if that is host memory."""
        for tensor, host, device in self._away:
            tensor.data = host.to(device, copy=True)
        self._away.clear()


class TrainingStates:
    """Optimizer states, fp32 weights and gradient buffers of a DeepSpeed ZeRO-3 engine."""

    def __init__(self, engine: Any) -> None:  # noqa: ANN401  deepspeed has no types
        """They are on the device."""
        self._engine = engine
        self._parked = ParkedTensors()
        self._are_away = False

    def leave(self) -> None:
        """Move them to host memory, unless they are there."""
        if self._are_away:
            return
        optimizer = self._engine.optimizer
        self._parked.leave([*optimizer.fp32_partitioned_groups_flat, *_moments(optimizer)])
        self._engine.offload_states(include=DEEPSPEEDS, pin_memory=True, non_blocking=False)
        self._are_away = True

    def come_back(self) -> None:
        """Move them to the device, unless they are there."""
        if not self._are_away:
            return
        self._parked.come_back()
        self._engine.reload_states(non_blocking=False)
        self._are_away = False


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
    """Return cached accelerator memory before another tenant needs it."""
    if torch.cuda.is_available():
        gc.collect()
        torch.cuda.empty_cache()
