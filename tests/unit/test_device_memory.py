"""Who holds the device's memory, and when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.distributed as dist

from rlavr_hpc.errors import OutOfTimeError, StaleWeightsError, UserError
from rlavr_hpc.rollout.engine import Sampling
from rlavr_hpc.rollout.vllm_engine import VllmEngine
from rlavr_hpc.telemetry.clock import StepClock
from rlavr_hpc.telemetry.reduce import Min
from rlavr_hpc.trainer.policy.device_memory import OffloadedTensors, TrainingStates
from rlavr_hpc.trainer.policy.weight_sync import sleep_after, sync_weights
from rlavr_hpc.trainer.reporting.memory import BYTES_PER_GIB, FreeMemory
from rlavr_hpc.types import StepKey
from tests.support.configs import composed


class Llm:
    """Stands for vLLM's LLM, and writes down what it is told."""

    def __init__(self, calls: list[str]) -> None:
        self.calls = calls

    def wake_up(self, tags: list[str]) -> None:
        self.calls.append(f"wake {tags[0]}")

    def collective_rpc(self, method: str, kwargs: Mapping[str, Any]) -> None:
        self.calls.append(method)
        for name, _ in kwargs["weights_iterator"]:
            self.calls.append(f"load {name}")

    def reset_prefix_cache(self) -> None:
        self.calls.append("forget prefixes")

    def sleep(self, level: int) -> None:
        self.calls.append(f"sleep {level}")


class Policy:
    """Two buckets of weights, and states that come and go."""

    version = 1
    has_frozen = False

    def __init__(self, calls: list[str]) -> None:
        self.calls = calls

    def weights(
        self, *, bucket_bytes: int, moving_only: bool = False
    ) -> Iterator[tuple[str, torch.Tensor]]:
        for name in ("a", "b"):
            yield name, torch.zeros(1)
            self.calls.append(f"free {name}")

    def offload_states(self) -> None:
        self.calls.append("states off")

    def reload_states(self) -> None:
        self.calls.append("states back")


def vllm_engine(calls: list[str]) -> VllmEngine:
    """The engine as on a GPU, asleep after its start."""
    engine = object.__new__(VllmEngine)
    engine._llm, engine._can_sleep, engine.weights_version = Llm(calls), True, None
    return engine


def test_memory_changes_hands_in_the_safe_order() -> None:
    calls: list[str] = []
    policy, engine = Policy(calls), vllm_engine(calls)
    sync_weights(policy, engine, bucket_mib=1)
    with sleep_after(policy, engine):
        calls.append("generate")
    assert calls == [
        "states off",
        "wake weights",
        "reload_weights",
        "load a",
        "free a",
        "load b",
        "free b",
        "forget prefixes",
        "wake kv_cache",
        "generate",
        "sleep 2",
        "states back",
    ]


def test_an_engine_that_slept_has_to_be_synced_before_it_samples() -> None:
    policy, engine = Policy([]), vllm_engine([])
    sync_weights(policy, engine, bucket_mib=1)
    engine.sleep()
    sampling = Sampling(samples=1, temperature=1.0, max_tokens=1)
    with pytest.raises(StaleWeightsError):
        engine.sample(
            [], sampling=sampling, step_key=StepKey(seed=1, step=1), version=policy.version
        )


def test_the_states_leave_also_when_the_engine_holds_the_weights_already() -> None:
    calls: list[str] = []
    policy, engine = Policy(calls), vllm_engine(calls)
    engine.weights_version = policy.version
    sync_weights(policy, engine, bucket_mib=1)
    assert calls == ["states off"]


def test_states_are_back_for_the_checkpoint_of_a_run_that_gave_up_generating() -> None:
    calls: list[str] = []
    policy, engine = Policy(calls), vllm_engine(calls)
    with pytest.raises(OutOfTimeError), sleep_after(policy, engine):
        raise OutOfTimeError("no time")
    assert calls == ["sleep 2", "states back"]


def test_offloaded_tensors_are_reloaded_as_they_were_whatever_became_of_their_memory() -> None:
    offloaded, tensors = OffloadedTensors(), [torch.tensor([1.0, 2.0]), torch.tensor([3.0])]
    for round_ in range(3):
        views = [tensor.data.view(-1) for tensor in tensors]  # the memory, not the tensor
        offloaded.offload(tensors)
        for view in views:
            view.fill_(float("nan"))
        offloaded.reload()
        assert [tensor.tolist() for tensor in tensors] == [[1.0 + round_, 2.0 + round_], [3.0]]
        tensors[0] += 1


def test_other_tensors_may_be_offloaded_the_next_time() -> None:
    offloaded = OffloadedTensors()
    offloaded.offload([torch.zeros(3)])
    offloaded.reload()
    other = torch.tensor([1.0, 2.0], dtype=torch.float64)
    offloaded.offload([other])
    offloaded.reload()
    assert (other.tolist(), other.dtype) == ([1.0, 2.0], torch.float64)


class Engine:
    """As much of DeepSpeed's engine as the states need."""

    def __init__(self) -> None:
        group = torch.tensor([1.0])
        self.moments = {"exp_avg": torch.tensor([2.0]), "exp_avg_sq": torch.tensor([3.0])}
        adam = SimpleNamespace(state={group: {"step": torch.tensor(4.0), **self.moments}})
        self.optimizer = SimpleNamespace(fp32_partitioned_groups_flat=[group], optimizer=adam)
        self.calls: list[tuple[str, object]] = []

    def offload_states(self, *, include: object, **_: object) -> None:
        self.calls.append(("off", include))

    def reload_states(self, **_: object) -> None:
        self.calls.append(("back", None))

    def places(self) -> list[int]:
        [group] = self.optimizer.fp32_partitioned_groups_flat
        [state] = self.optimizer.optimizer.state.values()
        return [tensor.data_ptr() for tensor in (group, *state.values())]


def test_weights_in_fp32_moments_and_gradients_leave_once_and_come_back_once() -> None:
    engine = Engine()
    states, before = TrainingStates(engine), engine.places()
    for _ in range(2):
        states.offload()
    moved = [there != here for there, here in zip(engine.places(), before, strict=True)]
    assert moved == [True, False, True, True]  # the count of steps is a number on the host
    for _ in range(2):
        states.reload()
    assert engine.calls == [("off", ("lp_grads", "contiguous_grad_buffer")), ("back", None)]
    assert [state.tolist() for state in engine.moments.values()] == [[2.0], [3.0]]
    [state] = engine.optimizer.optimizer.state.values()
    assert set(state) == {"step", "exp_avg", "exp_avg_sq"}  # nothing more goes into a checkpoint


@pytest.mark.parametrize("key", ["offload_optimizer", "offload_params"])
def test_states_that_live_on_the_host_cannot_be_sent_there(key: str) -> None:
    with pytest.raises(UserError, match=f"{key}=cpu keeps there already"):
        composed("deepspeed.offload_states=true", f"deepspeed.{key}=cpu")


@pytest.mark.parametrize(
    ("preset", "states", "optimizer"),
    [("zero3_sleep", True, "none"), ("zero3_offload_optimizer", False, "cpu")],
)
def test_presets(preset: str, states: bool, optimizer: str) -> None:
    group = composed(f"deepspeed={preset}").deepspeed
    assert (group.offload_states, str(group.offload_optimizer)) == (states, optimizer)


@pytest.fixture
def alone() -> Iterator[None]:
    """A process group of one."""
    store = dist.HashStore()  # type: ignore[attr-defined]
    dist.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("alone")
def test_free_memory_is_the_least_after_each_phase_that_moves_memory() -> None:
    left = iter([9, 5, 7, 6])
    free = FreeMemory(lambda: next(left) * BYTES_PER_GIB)
    clock = StepClock(after=free.note)
    for phase in ("sync", "score", "grade", "score", "train"):
        with clock.phase(phase):
            pass
    assert free.metrics() == {
        "sys/accelerator_free_sync_gib": Min(9.0),
        "sys/accelerator_free_score_gib": Min(5.0),
        "sys/accelerator_free_train_gib": Min(6.0),
    }


def test_without_an_accelerator_there_is_no_free_memory_to_report() -> None:
    free = FreeMemory(lambda: None)
    free.note("train")
    assert free.metrics() == {}
