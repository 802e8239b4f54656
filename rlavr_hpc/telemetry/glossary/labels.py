"""What the labels/, eval/ and oracle/ metrics mean."""

from __future__ import annotations

from typing import Final

from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.glossary.metric_info import MetricInfo, Reduction

BOUGHT = "prompts bought in this step"
WHEN_BOUGHT = "when a label was bought"
AUDIT = "only with audit=true"
PASS_AT_K = "Chen et al., arXiv 2107.03374"
CARE = "CARE, arXiv 2605.25864"

LABELS: Final = (
    MetricInfo(
        name=names.LABELS_QUOTA,
        unit="labels",
        low=0.0,
        reduction=Reduction.value,
        meaning="New labels the step might buy: the budget's share, what an early warning adds, "
        "and what `budget_total` leaves.",
    ),
    MetricInfo(
        name=names.LABELS_BOUGHT,
        unit="labels",
        low=0.0,
        reduction=Reduction.value,
        meaning="New labels of this step.",
    ),
    MetricInfo(
        name=names.LABELS_VOID,
        unit="labels",
        low=0.0,
        reduction=Reduction.value,
        meaning="Labels this step asked for and that do not exist: their quota is spent.",
    ),
    MetricInfo(
        name=names.LABELS_COST,
        unit="cost",
        low=0.0,
        reduction=Reduction.value,
        meaning="What this step's new labels cost, in the label source's unit.",
    ),
    MetricInfo(
        name=names.LABELS_TOTAL,
        unit="labels",
        low=0.0,
        reduction=Reduction.value,
        meaning="New labels so far.",
    ),
    MetricInfo(
        name=names.LABELS_BUDGET_USED,
        unit="share",
        low=0.0,
        high=1.0,
        reduction=Reduction.value,
        meaning="Labels asked for so far, void ones included, over `budget_total`.",
        when="only with budget_total",
    ),
    MetricInfo(
        name=names.LABELS_REUSED,
        unit="labels",
        low=0.0,
        reduction=Reduction.value,
        meaning="Remembered labels this step trained on, free of charge.",
    ),
    MetricInfo(
        name=names.LABELS_VOTE_RIGHT,
        unit="share",
        low=0.0,
        high=1.0,
        over=BOUGHT,
        meaning="Prompts whose vote was right: labels that taught nothing new.",
        when=WHEN_BOUGHT,
    ),
    MetricInfo(
        name=names.LABELS_NONE_CORRECT,
        unit="share",
        low=0.0,
        high=1.0,
        over=BOUGHT,
        meaning="Prompts without any correct response: the label only silences the vote.",
        when=WHEN_BOUGHT,
    ),
    MetricInfo(
        name=names.LABELS_REWARD_GAP,
        unit="share",
        low=-1.0,
        high=1.0,
        over="responses to prompts bought in this step",
        meaning="Share that agrees with the vote minus share that is correct: how much the votes "
        "overrate the responses, as far as labels were paid for.",
        when=WHEN_BOUGHT,
    ),
    MetricInfo(
        name=names.LABELS_TRUSTED,
        unit="prompts",
        low=0.0,
        reduction=Reduction.value,
        meaning="Prompts whose vote the acquisition policy trusts: not bought.",
        source=CARE,
    ),
    MetricInfo(
        name=names.probe_name("PROBE"),
        unit="nats",
        low=0.0,
        reduction=Reduction.value,
        meaning="Loss of a learning policy's probe, mean over the step's updates of it.",
        source=CARE,
        when="with a policy that learns, when it had enough labels",
    ),
    MetricInfo(
        name=names.eval_name("SET", "mean", 0).replace("0", "N"),
        unit="share",
        low=0.0,
        high=1.0,
        over="responses to a test set's prompts",
        meaning="Responses that are correct.",
        when="in steps that evaluate",
        elsewhere=(
            "verl val-core/SET/acc/mean@N",
            "prime-rl eval/SET/avg@k",
            "OpenRLHF eval_SET_pass1",
        ),
    ),
    MetricInfo(
        name=names.eval_name("SET", "pass", 0).replace("0", "N"),
        unit="share",
        low=0.0,
        high=1.0,
        over="prompts of a test set",
        meaning="Prompts with a correct response among N.",
        source=PASS_AT_K,
        when="in steps that evaluate",
        elsewhere=(
            "verl val-core/SET/acc/best@N",
            "prime-rl eval/SET/pass@k",
            "OpenRLHF eval_SET_passK",
        ),
    ),
    MetricInfo(
        name=names.eval_name("SET", "maj", 0).replace("0", "N"),
        unit="share",
        low=0.0,
        high=1.0,
        over="prompts of a test set",
        meaning="Prompts whose vote over N responses is right.",
        when="in steps that evaluate",
        elsewhere=("verl val-core/SET/acc/maj@N",),
    ),
)

ORACLE: Final = (
    MetricInfo(
        name=names.ORACLE_VOTE_ACCURACY,
        unit="share",
        low=0.0,
        high=1.0,
        over="groups",
        meaning="Groups whose vote is true. Falls first when a run locks in on wrong beliefs.",
        when=AUDIT,
        elsewhere=("TTRL label_accuracy",),
    ),
    MetricInfo(
        name=names.ORACLE_TRUE_REWARD,
        unit="share",
        low=0.0,
        high=1.0,
        over="responses",
        meaning="Responses that are correct. A run has collapsed when the 10-step mean stays below "
        "0.8 of its best.",
        when=AUDIT,
        elsewhere=("TTRL ground_truth_ratio",),
    ),
    MetricInfo(
        name=names.ORACLE_PASS,
        unit="share",
        low=0.0,
        high=1.0,
        over="groups",
        meaning="Groups with a correct response (pass@G): what is left to be learnt from.",
        source=PASS_AT_K,
        when=AUDIT,
        elsewhere=("TTRL pass@N",),
    ),
    MetricInfo(
        name=names.ORACLE_REWARD_ACCURACY,
        unit="share",
        low=0.0,
        high=1.0,
        over="responses",
        meaning="Responses that the vote judges as the label would.",
        when=AUDIT,
        elsewhere=("TTRL reward_accuracy",),
    ),
    MetricInfo(
        name=names.ORACLE_REWARD_GAP,
        unit="share",
        low=-1.0,
        high=1.0,
        over="responses",
        meaning="Share that agrees with the vote minus share that is correct, bought or not. Opens "
        "when a run is rewarded for its own beliefs.",
        when=AUDIT,
    ),
    MetricInfo(
        name=names.ORACLE_TRUSTED_PRECISION,
        unit="share",
        low=0.0,
        high=1.0,
        over="trusted prompts",
        meaning="Prompts whose vote is true.",
        source=CARE,
        when=f"{AUDIT}, when a prompt is trusted",
    ),
    MetricInfo(
        name=names.ORACLE_GATE_PRECISION,
        unit="share",
        low=0.0,
        high=1.0,
        over="the policy's most believed prompts",
        meaning="Prompts whose vote is true, whether the policy trusts them yet or not.",
        source=CARE,
        when=f"{AUDIT}, with a policy that has a gate",
    ),
    MetricInfo(
        name=names.ORACLE_GATE_RECALL,
        unit="share",
        low=0.0,
        high=1.0,
        over="groups with a true vote",
        meaning="Groups that are among the most believed.",
        source=CARE,
        when=f"{AUDIT}, with a policy that has a gate",
    ),
    MetricInfo(
        name=names.ORACLE_GATE_F1,
        unit="share",
        low=0.0,
        high=1.0,
        reduction=Reduction.value,
        meaning="Harmonic mean of the two.",
        formula="2 hits / (believed + true votes)",
        source=CARE,
        when=f"{AUDIT}, with a policy that has a gate",
    ),
    MetricInfo(
        name=names.ORACLE_COUNT_RECALL,
        unit="share",
        low=0.0,
        high=1.0,
        over="classes present",
        meaning="Of the guessed number of correct responses outside the vote: macro recall over "
        "prompts that are not trusted.",
        source=CARE,
        when=f"{AUDIT}, with a policy that guesses it",
    ),
    MetricInfo(
        name=names.ORACLE_AIM,
        unit="share",
        low=0.0,
        high=1.0,
        over="chosen prompts",
        meaning="Prompts that are among the quota's largest true gaps on offer, ties included: how "
        "near the choice comes to the oracle's.",
        source=CARE,
        when=f"{AUDIT}, when a prompt was chosen",
    ),
)
