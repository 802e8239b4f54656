"""Which runs are killed, and in which phases: tables for `benchmarks.resume` and its short test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

STEPS, SAVE_EVERY, EVAL_EVERY = 14, 4, 5
"""An epoch has six steps: its boundaries lie between checkpoints."""
TINY = (
    f"steps={STEPS}",
    f"save_every={SAVE_EVERY}",
    f"eval_every={EVAL_EVERY}",
    "algorithm.batch=16",
    "algorithm.mini_batch=8",
    "algorithm.group_size=4",
    "eval.samples=2",
    "data.eval_limit=8",
    "data.holdout=0.915",
    "model.pretrain_steps=400",
    "acquisition=care",
    "acquisition.settings.warmup_steps=2",
    "cluster.threads=1",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of run."""

    name: str
    ranks: int
    share: float
    """Of all kills."""
    startup: float
    """Seconds from its start to its first step, about."""
    overrides: tuple[str, ...]
    seeds: tuple[int, ...] = (1,)


HF, HF_2, VLLM, VLLM_2 = KINDS = (
    Kind(
        name="hf, 1 rank",
        ranks=1,
        share=0.66,
        startup=8.0,
        seeds=(1, 2),
        overrides=(*TINY, "rollout=hf"),
    ),
    Kind(
        name="hf, 2 ranks",
        ranks=2,
        share=0.14,
        startup=11.0,
        overrides=(*TINY, "rollout=hf", "reuse_labels=true"),
    ),
    Kind(
        name="vllm, 1 rank",
        ranks=1,
        share=0.12,
        startup=14.0,
        overrides=(*TINY, "rollout=vllm"),
    ),
    Kind(
        name="vllm, 2 ranks",
        ranks=2,
        share=0.08,
        startup=20.0,
        overrides=(*TINY, "rollout=vllm", "model.dtype=bfloat16"),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A phase in which runs are killed."""

    weight: int
    """Share of the kills."""
    delay: tuple[float, float] = (0.0, 0.0)
    """Seconds after its beginning, drawn between the two; start-up has the kind's instead."""
    per_step: int = 0
    """How often a step has it; 0 = not every step."""
    most: int = 0
    """Where it is not in every step: at most so many occurrences are passed over."""
    every_rank: bool = False
    """Not on rank 0 alone."""
    late: int = 0
    """Later kills of a run have the larger numbers: no step may be left after them."""


PHASES: Mapping[str, Phase] = {
    "start-up": Phase(weight=8, every_rank=True),
    "token": Phase(weight=5, delay=(0.0, 2.0), every_rank=True),
    "compile": Phase(weight=5, delay=(1.0, 25.0)),
    "sync": Phase(weight=3, per_step=1, every_rank=True),
    "generate": Phase(weight=7, delay=(0.0, 0.015), per_step=1, every_rank=True),
    "grade": Phase(weight=4, delay=(0.0, 0.004), per_step=3, every_rank=True),
    "score": Phase(weight=4, delay=(0.0, 0.03), per_step=2, every_rank=True),
    "buy": Phase(weight=3, per_step=2),
    "select": Phase(weight=3, delay=(0.0, 0.003), per_step=1),
    "purchase": Phase(weight=8, most=2),
    "ledger": Phase(weight=8, most=3),
    "train": Phase(weight=7, delay=(0.001, 0.06), per_step=1, every_rank=True),
    "learn": Phase(weight=5, delay=(0.0, 0.02), per_step=1, every_rank=True),
    "evaluation": Phase(weight=5, delay=(0.001, 0.05), every_rank=True),
    "metrics": Phase(weight=8, per_step=1),
    "checkpoint": Phase(weight=9, delay=(0.0, 0.05), most=1, every_rank=True),
    "rename-before": Phase(weight=4, most=1),
    "rename-after": Phase(weight=4, most=1),
    "deletion": Phase(weight=5, late=1),
    "end": Phase(weight=7, most=2, late=2),
}
