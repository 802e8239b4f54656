"""What the train/ metrics mean."""

from __future__ import annotations

from typing import Final

from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.glossary.metric_info import MetricInfo, Reduction

TOKENS = "trained tokens"
UPDATES = "optimizer updates"
K3 = "Schulman, Approximating KL Divergence, 2020 (k3)"

TRAINING: Final = (
    MetricInfo(
        name=names.TRAIN_LOSS,
        unit="1",
        over=UPDATES,
        meaning="Loss of an optimizer update: mean over the tokens of all its responses, those of "
        "advantage 0 included. It says little of progress. The formula is GRPO's; other losses "
        "have their own.",
        formula="- sum of min(w, cap) min(r A, clip(r) A) over tokens / tokens",
        source="GRPO, arXiv 2402.03300, with one divisor per update as in DAPO, arXiv 2503.14476",
        elsewhere=("verl actor/pg_loss", "OpenRLHF policy_loss"),
    ),
    MetricInfo(
        name=names.TRAIN_GRAD_NORM,
        unit="1",
        low=0.0,
        over=UPDATES,
        meaning="Norm of the gradient before it is clipped.",
        elsewhere=("verl actor/grad_norm", "OpenRLHF actor_grad_norm", "prime-rl optim/grad_norm"),
    ),
    MetricInfo(
        name=names.TRAIN_LR,
        unit="1",
        low=0.0,
        over=UPDATES,
        meaning="Learning rate; 0 while an acquisition policy holds the model as it is.",
        elsewhere=("verl actor/lr", "OpenRLHF actor_lr"),
    ),
    MetricInfo(
        name=names.TRAIN_ENTROPY,
        unit="nats",
        low=0.0,
        over=TOKENS,
        meaning="Entropy of the policy's next-token distribution. Falls to 0 in an entropy "
        "collapse.",
        elsewhere=("verl actor/entropy", "TRL entropy", "OpenRLHF entropy_loss"),
    ),
    MetricInfo(
        name=names.TRAIN_CLIP_LOW,
        unit="share",
        low=0.0,
        high=1.0,
        over=TOKENS,
        meaning="Tokens whose ratio (GSPO: their response's) is cut from below. 0 with one update "
        "a step.",
        elsewhere=("TRL clip_ratio/low_mean", "verl actor/pg_clipfrac (both sides)"),
    ),
    MetricInfo(
        name=names.TRAIN_CLIP_HIGH,
        unit="share",
        low=0.0,
        high=1.0,
        over=TOKENS,
        meaning="Tokens whose ratio is cut from above. 0 with one update a step.",
        elsewhere=("TRL clip_ratio/high_mean", "OpenRLHF ppo_clip_ratio (both sides)"),
    ),
    MetricInfo(
        name=names.TRAIN_RATIO_MAX,
        unit="1",
        low=0.0,
        reduction=Reduction.max,
        over=TOKENS,
        meaning="Largest ratio of the policy's probability of a token to the one before the "
        "step's first update. 1 with one update a step.",
        formula="max pi / pi_old",
    ),
    MetricInfo(
        name=names.TRAIN_UPDATE_KL,
        unit="nats",
        low=0.0,
        over=TOKENS,
        meaning="How far the policy has moved inside the step: KL(old policy || policy).",
        formula="(r - 1) - log r, r = pi / pi_old",
        source=K3,
        elsewhere=("verl actor/ppo_kl", "OpenRLHF ppo_kl"),
    ),
    MetricInfo(
        name=names.TRAIN_REFERENCE_KL,
        unit="nats",
        low=0.0,
        over=TOKENS,
        meaning="How far the policy is from the initial one: KL(policy || initial policy).",
        formula="exp(d) - d - 1, d = log pi_initial - log pi, whatever kl_estimator is",
        source=K3,
        when="only with a KL weight",
        elsewhere=("TRL kl", "OpenRLHF kl"),
    ),
    MetricInfo(
        name=names.TRAIN_TOKENS,
        unit="tokens",
        low=0.0,
        reduction=Reduction.value,
        meaning="Response tokens that went through the backward pass.",
    ),
    MetricInfo(
        name=names.TRAIN_MOVING,
        unit="share",
        low=0.0,
        high=1.0,
        over="responses",
        meaning="Responses whose advantage is not 0: the others move nothing. Falls as groups "
        "become unanimous, and where unlabelled prompts are dropped.",
        elsewhere=("OpenRLHF dynamic_filtering_pass_rate (of groups)",),
    ),
    MetricInfo(
        name=names.TRAIN_ALL_RIGHT,
        unit="share",
        low=0.0,
        high=1.0,
        over="prompts",
        meaning="Prompts whose responses all earn the same, and something: all right by the label, "
        "or unanimous. With the next one it is collapse/zero_advantage.",
        elsewhere=("DAPO filters these (accuracy 1)",),
    ),
    MetricInfo(
        name=names.TRAIN_ALL_WRONG,
        unit="share",
        low=0.0,
        high=1.0,
        over="prompts",
        meaning="Prompts whose responses all earn the same, and nothing: all wrong by the label, "
        "or nothing parsable.",
        elsewhere=("DAPO filters these (accuracy 0)",),
    ),
    MetricInfo(
        name=names.TRAIN_SPLIT,
        unit="share",
        low=0.0,
        high=1.0,
        over="prompts",
        meaning="Prompts trained on whose responses do not all agree, nor all say nothing. With "
        "algorithm.oversample these are chosen from a larger draw, which is what collapse/ and "
        "oracle/ describe; below 1 it held too few.",
    ),
    MetricInfo(
        name=names.TRAIN_LEFT_OUT,
        unit="share",
        low=0.0,
        high=1.0,
        over="responses",
        meaning="Responses that do not count in the loss's divisor: of prompts that "
        "algorithm.leave_out names, or masked because the length limit ended them.",
    ),
    MetricInfo(
        name=names.TRAIN_LENGTH_PENALTY,
        unit="reward",
        low=0.0,
        over="responses",
        meaning="What algorithm.overlong takes from a reward for length. Rewards under collapse/ "
        "are those before.",
        source="DAPO, arXiv 2503.14476, eq. 13",
    ),
    MetricInfo(
        name=names.TRAIN_ADVANTAGE_STD,
        unit="1",
        low=0.0,
        reduction=Reduction.value,
        meaning="Spread of the advantages, trust weights included, over all responses of the step; "
        "1 when every group has both kinds of answers and full weight. Their mean is 0, but for "
        "masked responses. Only normalized advantages have this scale.",
        formula="sqrt(mean A^2)",
    ),
    MetricInfo(
        name=names.TRAIN_ADVANTAGE_MAX,
        unit="1",
        low=0.0,
        reduction=Reduction.max,
        over="responses",
        meaning="The hardest push towards a response.",
        elsewhere=("verl critic/advantages/max",),
    ),
    MetricInfo(
        name=names.TRAIN_ADVANTAGE_MIN,
        unit="1",
        high=0.0,
        reduction=Reduction.min,
        over="responses",
        meaning="The hardest push away from a response.",
        elsewhere=("verl critic/advantages/min",),
    ),
    MetricInfo(
        name=names.TRAIN_VOTE_WEIGHT,
        unit="share",
        low=0.0,
        high=1.0,
        over="prompts without a label",
        meaning="Weight of the vote in training: 0 where "
        "unlabelled prompts are dropped, 1 where votes are believed.",
        when="when a prompt has no label",
    ),
    MetricInfo(
        name=names.TRAIN_SAMPLER_GAP,
        unit="nats",
        low=0.0,
        over=TOKENS,
        meaning="Absolute difference between the trainer's log-probability of a token and the "
        "sampler's: the proof of the weight sync. In a healthy run it is rounding alone.",
        elsewhere=(
            "TRL sampling/sampling_logp_difference/mean",
            "OpenRLHF logprobs_diff",
            "slime train_rollout_logprob_abs_diff",
            "verl training/rollout_probs_diff_mean",
        ),
    ),
    MetricInfo(
        name=names.TRAIN_SAMPLER_GAP_MAX,
        unit="nats",
        low=0.0,
        reduction=Reduction.max,
        over=TOKENS,
        meaning="The same of the token where it is largest.",
        elsewhere=(
            "TRL sampling/sampling_logp_difference/max",
            "verl training/rollout_probs_diff_max",
        ),
    ),
    MetricInfo(
        name=names.TRAIN_SAMPLER_CORRELATION,
        unit="1",
        low=-1.0,
        high=1.0,
        over=UPDATES,
        meaning="Pearson correlation of the trainer's and the sampler's probabilities of the "
        "trained tokens. Well below 1 the two do not run the same model.",
        when="when the probabilities differ from token to token",
        elsewhere=("verl training/rollout_actor_probs_pearson_corr",),
    ),
    MetricInfo(
        name=names.TRAIN_SAMPLER_KL,
        unit="nats",
        low=0.0,
        over=TOKENS,
        meaning="KL(sampler || trainer).",
        formula="(r - 1) - log r, r = pi_old / pi_sampler",
        source=K3,
        elsewhere=(
            "verl rollout_corr/k3_kl",
            "OpenRLHF vllm_kl",
            "prime-rl mismatch_kl",
            "NeMo-RL gen_kl_error",
        ),
    ),
    MetricInfo(
        name=names.TRAIN_SAMPLER_RATIO,
        unit="1",
        low=0.0,
        over=TOKENS,
        meaning="Truncated importance weight against the sampler; 1 when both agree.",
        formula="min(pi_old / pi_sampler, cap)",
        elsewhere=(
            "TRL sampling/importance_sampling_ratio/mean",
            "verl rollout_corr/rollout_is_mean",
            "NeMo-RL sampling_importance_ratio",
        ),
    ),
    MetricInfo(
        name=names.TRAIN_SAMPLER_TRUNCATED,
        unit="share",
        low=0.0,
        high=1.0,
        over=TOKENS,
        meaning="Tokens whose importance weight was cut.",
        elsewhere=("OpenRLHF is_filter_ratio", "open-instruct val/rho_drop_frac"),
    ),
    MetricInfo(
        name=names.TRAIN_SAMPLER_ESS,
        unit="share",
        low=0.0,
        high=1.0,
        over=UPDATES,
        meaning="Effective sample size of the importance weights, as a share of the tokens.",
        formula="(sum w)^2 / (n sum w^2)",
        elsewhere=("verl rollout_corr/rollout_is_eff_sample_size",),
    ),
)
