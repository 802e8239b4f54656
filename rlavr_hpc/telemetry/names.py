"""Every metric's name, once, with what it means. `group/quantity[_unit]`.

Groups: train, collapse (label-free), grade, labels, eval, oracle (needs labels nobody bought:
research only), time, perf, sys.
"""

from __future__ import annotations

from typing import Final

TRAIN_LOSS: Final = "train/loss"
"""Loss of an optimizer update, mean over the tokens of all its responses."""
TRAIN_GRAD_NORM: Final = "train/grad_norm"
"""Before clipping."""
TRAIN_ENTROPY: Final = "train/entropy"
"""Of the policy's next-token distribution, in nats, over trained tokens."""
TRAIN_CLIP_LOW: Final = "train/clip_low"
"""Share of trained tokens whose ratio is cut from below."""
TRAIN_CLIP_HIGH: Final = "train/clip_high"
"""Share of trained tokens whose ratio is cut from above."""
TRAIN_UPDATE_KL: Final = "train/update_kl"
"""k3 estimate of KL(old policy || policy) inside a step."""
TRAIN_REFERENCE_KL: Final = "train/reference_kl"
"""k3 estimate of KL(policy || initial policy) over trained tokens; only with a KL weight."""
TRAIN_TOKENS: Final = "train/tokens"
"""Response tokens that went through the backward pass."""
TRAIN_SAMPLER_GAP: Final = "train/sampler_gap"
"""Mean |log-probability of the trainer - of the sampler|: the proof of the weight sync."""
TRAIN_SAMPLER_KL: Final = "train/sampler_kl"
"""k3 estimate of KL(sampler || trainer)."""
TRAIN_SAMPLER_RATIO: Final = "train/sampler_ratio"
"""Mean truncated importance weight against the sampler."""
TRAIN_SAMPLER_TRUNCATED: Final = "train/sampler_truncated"
"""Share of tokens whose importance weight was cut."""
TRAIN_SAMPLER_ESS: Final = "train/sampler_ess"
"""Effective sample size of the importance weights, as a share of the tokens."""

COLLAPSE_MAJORITY_RATIO: Final = "collapse/majority_ratio"
"""Share of a group that agrees with its vote."""
COLLAPSE_ANSWER_ENTROPY: Final = "collapse/answer_entropy"
"""Entropy of a group's answers, in nats."""
COLLAPSE_DISTINCT_ANSWERS: Final = "collapse/distinct_answers"
"""Clusters per group."""
COLLAPSE_UNPARSABLE: Final = "collapse/unparsable"
"""Share of responses without an answer."""
COLLAPSE_UNANIMOUS: Final = "collapse/unanimous"
"""Share of groups whose answers all agree: no advantage."""
COLLAPSE_NOTHING_PARSABLE: Final = "collapse/nothing_parsable"
"""Share of groups without any answer: no advantage."""
COLLAPSE_TRAINED_REWARD: Final = "collapse/trained_reward"
"""Mean reward as trained on: true where bought, pseudo elsewhere."""
COLLAPSE_LENGTH_TOKENS: Final = "collapse/length_tokens"
"""Response tokens, the stop token included."""
COLLAPSE_TRUNCATED: Final = "collapse/truncated"
"""Share of responses ended by the length limit."""
COLLAPSE_SURPRISE: Final = "collapse/surprise"
"""Minus the sampler's mean token log-probability over all responses, in nats."""

GRADE_UNGRADABLE: Final = "grade/ungradable"
"""Share of responses whose answer passed a grader's limit: they neither vote nor earn."""
GRADE_LOST_BY_LABEL: Final = "grade/lost_by_label"
"""Responses per labelled prompt whose comparison with the label passed a limit."""

LABELS_BOUGHT: Final = "labels/bought"
"""New labels of this step."""
LABELS_TOTAL: Final = "labels/total"
"""New labels so far."""
LABELS_REUSED: Final = "labels/reused"
"""Remembered labels this step trained on, free of charge."""
LABELS_VOTE_RIGHT: Final = "labels/vote_right"
"""Share of this step's bought prompts whose vote was right: labels that taught nothing new."""

ORACLE_VOTE_ACCURACY: Final = "oracle/vote_accuracy"
"""Share of groups whose vote is true."""
ORACLE_TRUE_REWARD: Final = "oracle/true_reward"
"""Share of responses that are correct."""
ORACLE_PASS: Final = "oracle/pass"
"""Share of groups with at least one correct response (pass@G)."""
ORACLE_REWARD_ACCURACY: Final = "oracle/reward_accuracy"
"""Share of responses whose pseudo-verdict is the true one."""

TIME_STEP: Final = "time/step"
"""Seconds of the whole step, evaluation and checkpoint apart."""
TIME_PHASES: Final = ("sync", "generate", "grade", "acquire", "score", "train")
"""`time/PHASE`, seconds; `time/other` is the rest of the step."""
TIME_EVALUATE: Final = "time/evaluate"
TIME_SAVE: Final = "time/save"
PERF_TOKENS_PER_SECOND: Final = "perf/tokens_per_second"
"""Response tokens generated, over the whole step's time."""
SYS_MEMORY_GIB: Final = "sys/memory_gib"
"""Peak resident memory of rank 0's process."""


def time_name(phase: str) -> str:
    """`time/PHASE`."""
    return f"time/{phase}"


def eval_name(test_set: str, statistic: str, samples: int) -> str:
    """`eval/SET/STATISTIC@N`: mean@n, pass@n (any sample right), maj@n (the vote right)."""
    return f"eval/{test_set}/{statistic}@{samples}"
