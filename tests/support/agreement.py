"""`python -m tests.support.agreement hf|vllm [--tied] [--skip-sync] [--lora]`: a small run.

Large steps on random advantages; prints the agreement of sampler and trainer per step as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("engine", choices=["hf", "vllm"])
    parser.add_argument("--tied", action="store_true")
    parser.add_argument("--skip-sync", action="store_true")
    parser.add_argument("--lora", action="store_true", help="beside one of three fused matrices")
    arguments = parser.parse_args()

    from rlavr_hpc.cluster.topology import announce_ranks, apply_threads, read_topology
    from rlavr_hpc.trainer.job import _free_port, end_process

    topology = read_topology(os.environ, threads=1, runs_per_node=1)
    apply_threads(topology, os.environ)
    announce_ranks(topology, os.environ)
    os.environ |= {"MASTER_PORT": str(_free_port()), "DS_ACCELERATOR": "cpu"}

    import torch

    from rlavr_hpc.answers.timed_out_answers import TimedOutAnswers
    from rlavr_hpc.cluster.preemption import Deadline, StopFlag
    from rlavr_hpc.trainer import build
    from rlavr_hpc.trainer.components import Records
    from rlavr_hpc.trainer.inputs import load_inputs
    from rlavr_hpc.trainer.policy import build_ops
    from rlavr_hpc.trainer.policy.deepspeed_policy import init_ranks
    from rlavr_hpc.trainer.policy.tokenizer import load_tokenizer
    from rlavr_hpc.trainer.prepare_data import prepare_prompts
    from tests.support.configs import composed

    config = composed(
        f"rollout={arguments.engine}",
        "model.dtype=bfloat16",
        "algorithm.batch=16",
        "algorithm.mini_batch=16",
        "model.pretrain_steps=400",
        "algorithm.lr=3e-3",
        f"model.tied_embeddings={str(arguments.tied).lower()}",
        *(["lora=default", "lora.targets=[q_proj]"] if arguments.lora else []),
    )
    split = load_inputs(config)
    bundle = load_tokenizer(config, quiet=True)
    prompts = prepare_prompts(config, split, bundle)
    build_ops.build_ops()
    init_ranks(device=torch.device("cpu"), rank=0, world_size=1)
    inputs = build.Inputs(
        plugins=build.load_plugins(config), split=split, bundle=bundle, prompts=prompts
    )
    parts = build.build_components(
        config,
        inputs,
        build.load_models(config, inputs, topology),
        records=Records(
            attempt=1,
            run_dir=Path(),
            heartbeat=None,
            ledger=None,
            timed_out=TimedOutAnswers(Path(), 1, fence=None, answer_ids={}),
        ),
        deadline=Deadline(stop=StopFlag(), grace=0.0),
    )
    print(json.dumps([_one_step(parts, step, skip=arguments.skip_sync) for step in range(1, 5)]))
    end_process(0)


def _one_step(parts, step: int, *, skip: bool) -> float:  # type: ignore[no-untyped-def]  # noqa: ANN001
    from rlavr_hpc.rollout.engine import Sampling
    from rlavr_hpc.trainer.policy.weight_sync import sync_weights
    from rlavr_hpc.training_types import MiniBatch, Sample
    from rlavr_hpc.types import StepKey

    step_key, rng = StepKey(seed=1, step=step), random.Random(step)
    if skip and step > 1:
        parts.engine.weights_version = parts.policy.version
    sync_weights(parts.policy, parts.engine, bucket_mib=1)
    batch = parts.stream.at(step_key)
    rollouts = parts.engine.sample(
        batch,
        sampling=Sampling(samples=8, temperature=1.0, max_tokens=8),
        step_key=step_key,
        version=parts.policy.version,
    )
    samples = [
        Sample(
            key=(r.prompt_id, r.sample),
            prompt_ids=prompt.token_ids,
            response_ids=r.token_ids,
            sampler_logprobs=r.logprobs,
            advantage=rng.choice([-1.0, 1.0]),
        )
        for prompt, group in zip(batch, rollouts, strict=True)
        for r in group
    ]
    tokens = sum(len(s.response_ids) for s in samples)
    stats = parts.policy.update(
        MiniBatch(samples=samples, response_tokens=tokens, responses=len(samples)),
        step=step,
        old_logprobs=None,
    )
    return float(stats.sums["sampler_gap"] / stats.sums["tokens"])


if __name__ == "__main__":
    main()
