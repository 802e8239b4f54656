"""What the time/, perf/ and sys/ metrics mean: equal runs differ in them."""

from __future__ import annotations

from typing import Final

from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.glossary.metric_info import MetricInfo, Reduction

CHECKPOINT = "in the row after a checkpoint"

PHASES = {
    "sync": ("Weights on their way from the trainer to the sampler.", "open-instruct weight_sync"),
    "generate": ("Generation.", "verl timing_s/gen"),
    "grade": (
        "Waiting for the votes, which begin beside `score`, and comparison with labels.",
        "verl timing_s/reward",
    ),
    "score": ("Forward passes before the update.", "verl timing_s/old_log_prob"),
    "select": ("The acquisition policy's choice.", ""),
    "buy": ("The ledger and the label source.", ""),
    "train": ("Optimizer updates.", "verl timing_s/update_actor"),
    "learn": ("Training of the acquisition policy.", ""),
}
"""Phase -> what it is, and a name that it has elsewhere."""
FREE_AFTER = {
    "sync": "the engine is awake with its cache, the trainer's states are away if they may go",
    "generate": "the engine sleeps and the trainer's states are back; what it loses from step to "
    "step has leaked",
    "score": "with what the forward passes left behind",
    "train": "with what the updates left behind",
}
"""Phase -> what the memory holds after it."""


def _seconds(
    name: str, meaning: str, *elsewhere: str, when: str = "", low: float | None = 0.0
) -> MetricInfo:
    return MetricInfo(
        name=name,
        unit="s",
        low=low,
        reduction=Reduction.value,
        meaning=meaning,
        when=when,
        elsewhere=tuple(other for other in elsewhere if other),
    )


MACHINE: Final = (
    _seconds(
        names.TIME_STEP,
        "The whole step, evaluation and checkpoint apart.",
        "verl timing_s/step",
        "TRL step_time",
        "prime-rl time/step",
    ),
    *(_seconds(names.time_name(phase), *words) for phase, words in PHASES.items()),
    _seconds(names.TIME_OTHER, "The rest of the step, its metrics included.", low=None),
    _seconds(names.TIME_EVALUATE, "Evaluation.", when="in steps that evaluate"),
    _seconds(
        names.TIME_SAVE,
        "Training waited for a checkpoint's snapshot, and for its files unless "
        "they are written in the background.",
        "prime-rl time/save_ckpt",
        when=CHECKPOINT,
    ),
    _seconds(
        names.TIME_PUBLISH,
        "Training waited while the checkpoint was made complete and old ones dropped.",
        "prime-rl time/wait_for_ckpt",
        when=CHECKPOINT,
    ),
    _seconds(names.TIME_SAVE_FILES, "Rank 0 wrote its files, beside training.", when=CHECKPOINT),
    MetricInfo(
        name=names.PERF_TOKENS_PER_SECOND,
        unit="tokens/s",
        low=0.0,
        meaning="Response tokens generated, over the whole step's time.",
        formula="response tokens / time/step",
    ),
    MetricInfo(
        name=names.PERF_TOKENS_PER_SECOND_PER_RANK,
        unit="tokens/s",
        low=0.0,
        meaning="The same over the ranks: one rank drives one accelerator.",
        formula="response tokens / (time/step x ranks)",
        elsewhere=(
            "NeMo-RL tokens_per_sec_per_gpu",
            "verl perf/throughput (prompt tokens included)",
        ),
    ),
    MetricInfo(
        name=names.PERF_RESPONSES_PER_SECOND,
        unit="responses/s",
        low=0.0,
        meaning="Responses over the whole step's time; divided by G, prompts a second.",
        formula="B G / time/step",
    ),
    MetricInfo(
        name=names.PERF_GENERATE_TOKENS_PER_SECOND,
        unit="tokens/s",
        low=0.0,
        meaning="Response tokens over the time spent generating; of all ranks together.",
        formula="response tokens / time/generate",
        elsewhere=(
            "NeMo-RL generation_tokens_per_sec",
            "slime perf/tokens_per_gpu_per_sec (of one GPU)",
            "verl timing_per_token_ms/gen (its inverse)",
        ),
    ),
    MetricInfo(
        name=names.PERF_TRAIN_TOKENS_PER_SECOND,
        unit="tokens/s",
        low=0.0,
        meaning="Prompt and response tokens of the trained samples, padding apart, over the time "
        "of the updates; of all ranks together. Responses of advantage 0 are not trained on and "
        "do not count.",
        formula="tokens of the trained sequences / time/train",
        elsewhere=(
            "prime-rl perf/throughput",
            "slime perf/actor_train_tok_per_s",
            "open-instruct actor_tokens_per_second",
        ),
    ),
    MetricInfo(
        name=names.PERF_GENERATE_IMBALANCE,
        unit="1",
        low=1.0,
        over="replicas",
        meaning="Response tokens of the replica that generated most, over the mean replica; 1 on "
        "one. The other replicas wait.",
        elsewhere=("NeMo-RL average_token_imbalance", "verl global_seqlen/minmax_diff"),
    ),
    MetricInfo(
        name=names.PERF_TRAIN_IMBALANCE,
        unit="1",
        low=1.0,
        over="ranks",
        meaning="Tokens of the rank that trained on most, padding samples included, over the mean "
        "rank; 1 on one.",
        elsewhere=("verl global_seqlen/balanced_max",),
    ),
    MetricInfo(
        name=names.SYS_CHECKPOINT_MIB,
        unit="MiB",
        low=0.0,
        reduction=Reduction.value,
        meaning="Size of the last checkpoint, all ranks together.",
        when=CHECKPOINT,
    ),
    MetricInfo(
        name=names.SYS_MEMORY_GIB,
        unit="GiB",
        low=0.0,
        reduction=Reduction.value,
        meaning="Peak resident memory of rank 0's process.",
        when="in every row",
        elsewhere=("verl perf/cpu_memory_used_gb (of the host)",),
    ),
    MetricInfo(
        name=names.SYS_MEMORY_MAX_GIB,
        unit="GiB",
        low=0.0,
        reduction=Reduction.max,
        over="ranks",
        meaning="Peak resident memory of the process that needed most.",
        when="in every row",
    ),
    MetricInfo(
        name=names.SYS_ACCELERATOR_PEAK_GIB,
        unit="GiB",
        low=0.0,
        reduction=Reduction.max,
        over="ranks",
        meaning="Most memory that torch's tensors held on an accelerator since the attempt began.",
        when="only with an accelerator",
        elsewhere=("verl perf/max_memory_allocated_gb", "prime-rl perf/peak_memory"),
    ),
    MetricInfo(
        name=names.SYS_ACCELERATOR_RESERVED_GIB,
        unit="GiB",
        low=0.0,
        reduction=Reduction.max,
        over="ranks",
        meaning="The same with what torch's allocator kept for later.",
        when="only with an accelerator",
        elsewhere=("verl perf/max_memory_reserved_gb",),
    ),
    *(
        MetricInfo(
            name=names.free_name(phase),
            unit="GiB",
            low=0.0,
            reduction=Reduction.min,
            over="ranks",
            when="only with an accelerator",
            meaning=f"Memory that nobody held on the accelerator after `{phase}`: {there}.",
        )
        for phase, there in FREE_AFTER.items()
    ),
)
