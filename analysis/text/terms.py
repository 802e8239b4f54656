"""What the report calls things: metrics, kinds of collapse, terms and their meaning."""

from __future__ import annotations

from analysis.run_findings import CollapseKind
from analysis.study_findings import Standing

TITLES = {
    "accuracy": "Held-out accuracy",
    "oracle/true_reward": "True reward",
    "oracle/vote_accuracy": "Votes that are right",
    "oracle/reward_accuracy": "Rewards that are right",
    "collapse/majority_ratio": "Majority ratio",
    "collapse/answer_entropy": "Answer entropy",
    "collapse/distinct_answers": "Distinct answers",
    "collapse/unanimous": "Unanimous groups",
    "collapse/unparsable": "Unparsable responses",
    "collapse/nothing_parsable": "Groups without any answer",
    "collapse/pseudo_reward": "Pseudo-reward",
    "collapse/trained_reward": "Reward trained on",
    "collapse/length_tokens": "Response length, tokens",
    "collapse/truncated": "Truncated responses",
    "collapse/sampled_entropy": "Policy entropy, sampled",
    "collapse/risk": "Hint of collapse (risk)",
    "collapse/alarm_evidence": "Collapse alarm (evidence)",
    "labels/kept_right": "Right votes among kept audits",
    "collapse/pseudo_reward - oracle/true_reward": "Pseudo minus true reward",
    "labels/total": "Labels bought so far",
    "train/grad_norm": "Gradient norm",
    "time/step": "Seconds of a step",
    "labels/vote_right": "Right votes among bought",
    "labels/none_correct": "Bought, no response correct",
    "labels/reward_gap": "Pseudo minus true, bought",
    "train/entropy": "Policy entropy",
}

KINDS: dict[CollapseKind, tuple[str, str]] = {
    CollapseKind.wrong_belief: ("wrong belief", "votes agree more and more on wrong answers"),
    CollapseKind.entropy: (
        "entropy collapse",
        "the policy's distribution has narrowed to few answers",
    ),
    CollapseKind.length_hacking: (
        "length hacking",
        "responses ran into the length limit or shrank to next to nothing",
    ),
    CollapseKind.format_hacking: (
        "format hacking",
        "answers are stated in a form that earns the vote and means nothing",
    ),
    CollapseKind.silent: ("silent", "nothing parsable is left: no vote, no reward"),
    CollapseKind.other: ("unexplained", "accuracy is lost and no signal says why"),
}

STANDINGS: dict[Standing, str] = {
    Standing.recommended: "use next",
    Standing.undecided: "not decided",
    Standing.alternative: "alternative",
    Standing.dominated: "dominated",
    Standing.avoid: "avoid",
    Standing.no_gain: "no gain yet",
    Standing.upper_bound: "upper bound",
}

GLOSSARY: tuple[tuple[str, str], ...] = (
    (
        "Collapsed",
        "Training lost at least 20% of the accuracy it had reached and did not get it back.",
    ),
    (
        "Onset",
        "The first step of the final low stretch, found by change-point detection.",
    ),
    (
        "Detected",
        "The first step at which label-free signals alone detect the collapse. They are read step "
        "by step, without knowledge of the future.",
    ),
    (
        "Warned",
        "The first step at which the run's own hint of collapse (`collapse/risk`) reached its "
        "threshold.",
    ),
    (
        "Steps before the onset",
        "Onset minus detected. A collapse that is detected after its onset is detected late.",
    ),
    (
        "Held-out accuracy",
        "mean@n on prompts that are never trained on: share of sampled responses that are correct.",
    ),
    (
        "True reward",
        "Share of the training responses that are correct. It needs labels nobody bought, and is "
        "on record only with audit=true.",
    ),
    ("Majority ratio", "Share of a prompt's responses that agree with their majority vote."),
    ("Pseudo-reward", "Reward by agreement with the majority vote, where no label was bought."),
    ("Label-free", "Known without any label beyond those that the run bought."),
    ("Condition", "Runs with the same settings that differ only by seed."),
    (
        "Interval",
        "95% bootstrap interval of the mean over seeds. With few seeds it is too narrow.",
    ),
    (
        "p, permuted and t test",
        "A permutation test: sign-flip over common seeds, or between groups where seeds differ. "
        "And a t test (paired, or Welch's) with Holm's correction over all tests of this report.",
    ),
    (
        "Significant",
        "The t test's corrected p is below 0.05, the permutation test is as clear as so few seeds "
        "allow, and there are three runs of each condition.",
    ),
    (
        "Pareto frontier",
        "No other condition without an oracle has more accuracy for as many labels or fewer.",
    ),
    (
        "Use next",
        "The condition with the fewest labels that has 90% of the best gain, without a collapse.",
    ),
    (
        "Dominated",
        "The condition learns, but another one has more accuracy for as many labels or fewer.",
    ),
    (
        "No gain yet",
        "The condition did not collapse, and its held-out accuracy ended no higher than it began.",
    ),
    ("Confirmed a right vote", "Share of bought labels whose vote was right already."),
    ("No response correct", "Share of bought labels on prompts without any correct response."),
    (
        "Oracle",
        "The policy reads labels nobody bought. It is an upper bound for research, not a choice.",
    ),
    (
        "Label value",
        "Mean |pseudo - true reward| that a bought label corrected. It is zero where vote and "
        "label agree about every response.",
    ),
    (
        "Mean accuracy over spend",
        "Area under held-out accuracy against labels bought, divided by its width.",
    ),
    ("Work redone", "Steps trained more than once, because an interruption lost them."),
    ("Device-hours", "Hours that devices were held: GPU-hours on GPUs, else rank-hours on CPUs."),
)


def title(metric: str) -> str:
    """A metric's name for people; the metric's own where it has none."""
    return TITLES.get(metric, metric)
