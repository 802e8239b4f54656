"""What the collapse/ and grade/ metrics mean: seen from outside, without labels nobody bought."""

from __future__ import annotations

from typing import Final

from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.glossary.metric_info import MetricInfo, Reduction

GROUPS = "groups"
RESPONSES = "responses"

RESPONSE: Final = (
    MetricInfo(
        name=names.COLLAPSE_MAJORITY_RATIO,
        unit="share",
        low=0.0,
        high=1.0,
        over=GROUPS,
        meaning="Responses of a group that agree with its vote. Rises in a run that learns; near "
        "1 while the votes are wrong it is lock-in.",
        formula="size of the winning cluster / G",
        source="TTRL, arXiv 2504.16084",
        elsewhere=("TTRL majority_ratio",),
    ),
    MetricInfo(
        name=names.COLLAPSE_ANSWER_ENTROPY,
        unit="nats",
        low=0.0,
        over=GROUPS,
        meaning="Entropy of a group's answers, those that can be parsed; 0 when they agree.",
        formula="- sum q log q over clusters",
    ),
    MetricInfo(
        name=names.COLLAPSE_DISTINCT_ANSWERS,
        unit="answers",
        low=0.0,
        over=GROUPS,
        meaning="Different answers of a group: clusters of mathematically equal ones.",
    ),
    MetricInfo(
        name=names.COLLAPSE_UNPARSABLE,
        unit="share",
        low=0.0,
        high=1.0,
        over=RESPONSES,
        meaning="Responses without an answer that can be read.",
    ),
    MetricInfo(
        name=names.COLLAPSE_UNANIMOUS,
        unit="share",
        low=0.0,
        high=1.0,
        over=GROUPS,
        meaning="Groups whose answers all agree: the vote teaches nothing.",
        elsewhere=("slime zero_std (with the next one)",),
    ),
    MetricInfo(
        name=names.COLLAPSE_NOTHING_PARSABLE,
        unit="share",
        low=0.0,
        high=1.0,
        over=GROUPS,
        meaning="Groups without any answer: there is no vote. Near 1 in a silent collapse.",
    ),
    MetricInfo(
        name=names.COLLAPSE_ZERO_ADVANTAGE,
        unit="share",
        low=0.0,
        high=1.0,
        over=GROUPS,
        meaning="Groups whose responses all earn the same, by label or vote: nothing to learn.",
        elsewhere=("TRL frac_reward_zero_std", "slime zero_std"),
    ),
    MetricInfo(
        name=names.COLLAPSE_PSEUDO_REWARD,
        unit="reward",
        over="responses without a label",
        meaning="Reward by the vote, or by whatever stands in for it.",
        when="when a prompt has no label",
        elsewhere=("TTRL majority_voting_reward",),
    ),
    MetricInfo(
        name=names.COLLAPSE_TRAINED_REWARD,
        unit="reward",
        over=RESPONSES,
        meaning="Reward as trained on: true where a label was bought, pseudo elsewhere.",
        elsewhere=("TRL reward", "verl critic/rewards/mean", "OpenRLHF reward"),
    ),
    MetricInfo(
        name=names.COLLAPSE_REWARD_STD,
        unit="reward",
        low=0.0,
        over=GROUPS,
        meaning="Spread of the trained rewards inside a group (population).",
        elsewhere=("TRL reward_std", "OpenRLHF group_reward_std"),
    ),
    MetricInfo(
        name=names.COLLAPSE_LENGTH_TOKENS,
        unit="tokens",
        low=0.0,
        over=RESPONSES,
        meaning="Length of a response, its stop token included.",
        elsewhere=(
            "verl response_length/mean",
            "TRL completions/mean_length",
            "OpenRLHF response_length_mean",
        ),
    ),
    MetricInfo(
        name=names.COLLAPSE_LENGTH_P90_TOKENS,
        unit="tokens",
        low=0.0,
        reduction=Reduction.value,
        meaning="Length that 90% of the step's responses do not exceed (nearest rank).",
    ),
    MetricInfo(
        name=names.COLLAPSE_LENGTH_MAX_TOKENS,
        unit="tokens",
        low=0.0,
        reduction=Reduction.max,
        over=RESPONSES,
        meaning="Length of the longest response.",
        elsewhere=("verl response_length/max", "TRL completions/max_length"),
    ),
    MetricInfo(
        name=names.COLLAPSE_LENGTH_STOPPED_TOKENS,
        unit="tokens",
        low=0.0,
        over="responses that ended by themselves",
        meaning="Length of a response that was not truncated.",
        when="when a response ended by itself",
        elsewhere=("TRL completions/mean_terminated_length",),
    ),
    MetricInfo(
        name=names.COLLAPSE_LENGTH_VOTE_TOKENS,
        unit="tokens",
        low=0.0,
        over="responses that agree with the vote",
        meaning="Length of the vote's responses. Where it parts from the others', votes are won by "
        "length: a sign of length hacking.",
        when="when there is a vote",
    ),
    MetricInfo(
        name=names.COLLAPSE_LENGTH_OTHERS_TOKENS,
        unit="tokens",
        low=0.0,
        over="responses with another answer",
        meaning="Length of the responses whose answer can be read and is not the vote.",
        when="when answers differ",
    ),
    MetricInfo(
        name=names.COLLAPSE_TRUNCATED,
        unit="share",
        low=0.0,
        high=1.0,
        over=RESPONSES,
        meaning="Responses ended by the length limit.",
        elsewhere=(
            "verl response_length/clip_ratio",
            "TRL completions/clipped_ratio",
            "OpenRLHF truncated_rate",
            "slime truncated_ratio",
        ),
    ),
    MetricInfo(
        name=names.COLLAPSE_REPETITION,
        unit="share",
        low=0.0,
        high=1.0,
        over=RESPONSES,
        meaning="Responses that end in a loop: one piece of p tokens, said over and over in the "
        "last max(4p, 32) tokens, the stop token apart.",
        elsewhere=("slime repetition_frac (by compression of the text)",),
    ),
    MetricInfo(
        name=names.COLLAPSE_SURPRISE,
        unit="nats",
        low=0.0,
        over="tokens of all responses",
        meaning="Minus the sampler's log-probability: an estimate of the sampler's entropy that "
        "costs nothing and leaves out no response.",
    ),
    MetricInfo(
        name=names.COLLAPSE_RISK,
        unit="1",
        low=0.0,
        high=1.0,
        reduction=Reduction.value,
        meaning="Early warning from the votes and the bought labels: what is feared, not measured. "
        "`warning.threshold` is compared with it.",
        when="in every row",
    ),
    MetricInfo(
        name=names.GRADE_UNGRADABLE,
        unit="share",
        low=0.0,
        high=1.0,
        over=RESPONSES,
        meaning="Responses whose answer passed a grader's limit: they neither vote nor earn.",
    ),
    MetricInfo(
        name=names.GRADE_LOST_BY_LABEL,
        unit="responses",
        low=0.0,
        over="prompts with a label",
        meaning="Responses whose comparison with the label passed a grader's limit.",
        when="when a prompt has a label",
    ),
)
