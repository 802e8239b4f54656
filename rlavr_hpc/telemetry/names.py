"""Every metric's name, once: `group/quantity[_unit]`. What they mean stands in `glossary`.

Groups: train, collapse (label-free), grade, labels, eval, oracle (needs labels nobody bought:
research only), time, perf, sys.
"""

from __future__ import annotations

from typing import Final

TRAIN_LOSS: Final = "train/loss"
TRAIN_GRAD_NORM: Final = "train/grad_norm"
TRAIN_LR: Final = "train/lr"
TRAIN_ENTROPY: Final = "train/entropy"
TRAIN_CLIP_LOW: Final = "train/clip_low"
TRAIN_CLIP_HIGH: Final = "train/clip_high"
TRAIN_RATIO_MAX: Final = "train/ratio_max"
TRAIN_UPDATE_KL: Final = "train/update_kl"
TRAIN_REFERENCE_KL: Final = "train/reference_kl"
TRAIN_TOKENS: Final = "train/tokens"
TRAIN_NONZERO_ADVANTAGE: Final = "train/nonzero_advantage"
TRAIN_ALL_RIGHT: Final = "train/all_right"
TRAIN_ALL_WRONG: Final = "train/all_wrong"
TRAIN_INFORMATIVE_GROUPS: Final = "train/informative_groups"
TRAIN_LEFT_OUT: Final = "train/left_out"
TRAIN_LENGTH_PENALTY: Final = "train/length_penalty"
TRAIN_ADVANTAGE_STD: Final = "train/advantage_std"
TRAIN_ADVANTAGE_MAX: Final = "train/advantage_max"
TRAIN_ADVANTAGE_MIN: Final = "train/advantage_min"
TRAIN_VOTE_WEIGHT: Final = "train/vote_weight"
TRAIN_NEGATIVE_GROUPS: Final = "train/negative_groups"
TRAIN_SAMPLER_GAP: Final = "train/sampler_gap"
TRAIN_SAMPLER_GAP_MAX: Final = "train/sampler_gap_max"
TRAIN_SAMPLER_CORRELATION: Final = "train/sampler_correlation"
TRAIN_SAMPLER_KL: Final = "train/sampler_kl"
TRAIN_SAMPLER_RATIO: Final = "train/sampler_ratio"
TRAIN_SAMPLER_TRUNCATED: Final = "train/sampler_truncated"
TRAIN_SAMPLER_ESS: Final = "train/sampler_ess"

COLLAPSE_MAJORITY_RATIO: Final = "collapse/majority_ratio"
COLLAPSE_ANSWER_ENTROPY: Final = "collapse/answer_entropy"
COLLAPSE_DISTINCT_ANSWERS: Final = "collapse/distinct_answers"
COLLAPSE_UNPARSABLE: Final = "collapse/unparsable"
COLLAPSE_UNANIMOUS: Final = "collapse/unanimous"
COLLAPSE_NOTHING_PARSABLE: Final = "collapse/nothing_parsable"
COLLAPSE_ZERO_ADVANTAGE: Final = "collapse/zero_advantage"
COLLAPSE_PSEUDO_REWARD: Final = "collapse/pseudo_reward"
COLLAPSE_TRAINED_REWARD: Final = "collapse/trained_reward"
COLLAPSE_REWARD_STD: Final = "collapse/reward_std"
COLLAPSE_LENGTH_TOKENS: Final = "collapse/length_tokens"
COLLAPSE_LENGTH_P90_TOKENS: Final = "collapse/length_p90_tokens"
COLLAPSE_LENGTH_MAX_TOKENS: Final = "collapse/length_max_tokens"
COLLAPSE_LENGTH_STOPPED_TOKENS: Final = "collapse/length_stopped_tokens"
COLLAPSE_LENGTH_VOTE_TOKENS: Final = "collapse/length_vote_tokens"
COLLAPSE_LENGTH_OTHERS_TOKENS: Final = "collapse/length_others_tokens"
COLLAPSE_TRUNCATED: Final = "collapse/truncated"
COLLAPSE_REPETITION: Final = "collapse/repetition"
COLLAPSE_SAMPLED_ENTROPY: Final = "collapse/sampled_entropy"
COLLAPSE_RISK: Final = "collapse/risk"

GRADE_UNGRADABLE: Final = "grade/ungradable"
GRADE_LOST_BY_LABEL: Final = "grade/lost_by_label"

LABELS_QUOTA: Final = "labels/quota"
LABELS_BOUGHT: Final = "labels/bought"
LABELS_VOID: Final = "labels/void"
LABELS_PENDING: Final = "labels/pending"
LABELS_WRONG_VOTES: Final = "labels/wrong_votes"
LABELS_COST: Final = "labels/cost"
LABELS_TOTAL: Final = "labels/total"
LABELS_BUDGET_USED: Final = "labels/budget_used"
LABELS_REUSED: Final = "labels/reused"
LABELS_VOTE_RIGHT: Final = "labels/vote_right"
LABELS_NONE_CORRECT: Final = "labels/none_correct"
LABELS_REWARD_GAP: Final = "labels/reward_gap"
LABELS_TRUSTED: Final = "labels/trusted"

ORACLE_VOTE_ACCURACY: Final = "oracle/vote_accuracy"
ORACLE_LABEL_WRONG: Final = "oracle/label_wrong"
ORACLE_TRUE_REWARD: Final = "oracle/true_reward"
ORACLE_TRUE_REWARD_VARIANCE: Final = "oracle/true_reward_variance"
ORACLE_PASS: Final = "oracle/pass"
ORACLE_REWARD_ACCURACY: Final = "oracle/reward_accuracy"
ORACLE_REWARD_GAP: Final = "oracle/reward_gap"
ORACLE_TRUSTED_PRECISION: Final = "oracle/trusted_precision"
ORACLE_GATE_PRECISION: Final = "oracle/gate_precision"
ORACLE_GATE_RECALL: Final = "oracle/gate_recall"
ORACLE_GATE_F1: Final = "oracle/gate_f1"
ORACLE_COUNT_RECALL: Final = "oracle/count_recall"
ORACLE_SELECTION_PRECISION: Final = "oracle/selection_precision"

TIME_STEP: Final = "time/step"
TIME_PHASES: Final = (
    "sync",
    "generate",
    "grade",
    "score",
    "select",
    "buy",
    "wait",
    "train",
    "learn",
)
"""`time/PHASE`, seconds; `time/other` is the rest of the step."""
TIME_OTHER: Final = "time/other"
TIME_EVALUATE: Final = "time/evaluate"
TIME_SAVE: Final = "time/save"
TIME_PUBLISH: Final = "time/publish"
TIME_SAVE_FILES: Final = "time/save_files"

PERF_TOKENS_PER_SECOND: Final = "perf/tokens_per_second"
PERF_TOKENS_PER_SECOND_PER_RANK: Final = "perf/tokens_per_second_per_rank"
PERF_RESPONSES_PER_SECOND: Final = "perf/responses_per_second"
PERF_GENERATE_TOKENS_PER_SECOND: Final = "perf/generate_tokens_per_second"
PERF_TRAIN_TOKENS_PER_SECOND: Final = "perf/train_tokens_per_second"
PERF_GENERATE_IMBALANCE: Final = "perf/generate_imbalance"
PERF_TRAIN_IMBALANCE: Final = "perf/train_imbalance"

SYS_CHECKPOINT_MIB: Final = "sys/checkpoint_mib"
SYS_MEMORY_GIB: Final = "sys/memory_gib"
SYS_MEMORY_MAX_GIB: Final = "sys/memory_max_gib"
SYS_ACCELERATOR_PEAK_GIB: Final = "sys/accelerator_peak_gib"
SYS_ACCELERATOR_RESERVED_GIB: Final = "sys/accelerator_reserved_gib"
MEMORY_PHASES: Final = ("sync", "generate", "score", "train")
"""`sys/accelerator_free_PHASE_gib`, after the phase."""

RENAMED: Final = {
    "collapse/surprise": COLLAPSE_SAMPLED_ENTROPY,
    "train/moving": TRAIN_NONZERO_ADVANTAGE,
    "train/split": TRAIN_INFORMATIVE_GROUPS,
    "oracle/aim": ORACLE_SELECTION_PRECISION,
}
"""Names in the records of version 0.1 -> today's; every reader of a record replaces them."""


def time_name(phase: str) -> str:
    """`time/PHASE`."""
    return f"time/{phase}"


def free_name(phase: str) -> str:
    """`sys/accelerator_free_PHASE_gib`."""
    return f"sys/accelerator_free_{phase}_gib"


def probe_name(probe: str) -> str:
    """`labels/PROBE_loss`."""
    return f"labels/{probe}_loss"


def eval_name(test_set: str, statistic: str, samples: int) -> str:
    """`eval/SET/STATISTIC@N`: mean@n and its stderr@n, pass@n (any right), maj@n (the vote)."""
    return f"eval/{test_set}/{statistic}@{samples}"
