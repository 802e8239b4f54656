"""Rules for keys about the algorithm, the engine, adapters, the warning and what is recorded."""

from __future__ import annotations

from rlavr_hpc.config.key_effect import Rule
from rlavr_hpc.config.rollout import Engine
from rlavr_hpc.config.tracking import Tracking
from rlavr_hpc.config.warning import ACTING, OnRisk, VoteAudit

RULES = (
    Rule(
        keys=("algorithm.micro_batch",),
        works=lambda c: c.algorithm.micro_tokens is None,
        because=lambda c: (
            f"algorithm.micro_tokens={c.algorithm.micro_tokens} decides how much a "
            "forward pass holds"
        ),
        instead="add algorithm.micro_tokens=null",
        by=("algorithm.micro_tokens",),
    ),
    Rule(
        keys=("algorithm.overlong.penalty",),
        works=lambda c: c.algorithm.overlong.buffer > 0,
        because=lambda c: "algorithm.overlong.buffer=0 means no penalty",
        instead="set algorithm.overlong.buffer, e.g. to 0.2",
        by=("algorithm",),
    ),
    Rule(
        keys=("algorithm.loss.settings.kl_estimator",),
        works=lambda c: bool(c.algorithm.loss.settings.get("kl_coef")),
        because=lambda c: "algorithm.loss.settings.kl_coef=0 estimates no KL divergence",
        instead="set algorithm.loss.settings.kl_coef above 0",
        by=("algorithm",),
    ),
    Rule(
        keys=("rollout.gpu_memory_utilization", "rollout.kv_cache_gib"),
        works=lambda c: c.rollout.engine is Engine.vllm,
        because=lambda c: "it is vLLM's, and rollout=hf generates with Transformers",
        instead="say rollout=vllm",
        by=("rollout",),
    ),
    Rule(
        keys=("rollout.tensor_parallel",),
        works=lambda c: c.rollout.engine is Engine.vllm,
        because=lambda c: "rollout=hf generates on every rank alone",
        instead="say rollout=vllm",
        by=("rollout",),
        idle=(1,),
    ),
    Rule(
        keys=("lora.alpha", "lora.targets"),
        works=lambda c: c.lora.rank > 0,
        because=lambda c: "lora=none trains all weights",
        instead="say lora=default, or set lora.rank",
        by=("lora",),
    ),
    Rule(
        keys=("warning.act_on",),
        works=lambda c: c.warning.action in ACTING,
        because=lambda c: f"warning.action={c.warning.action} changes nothing in a run",
        instead="say warning.action=stop or warning.action=rollback",
        by=("warning",),
    ),
    Rule(
        keys=("warning.false_alarm",),
        works=lambda c: c.warning.audit is not VoteAudit.none,
        because=lambda c: "warning.audit=none audits no vote",
        instead="say warning.audit=kept, used or both",
        by=("warning",),
    ),
    Rule(
        keys=("warning.kept_share",),
        works=lambda c: c.warning.audit.keeps,
        because=lambda c: f"warning.audit={c.warning.audit} keeps no label from training",
        instead="say warning.audit=kept or warning.audit=both",
        by=("warning",),
    ),
    Rule(
        keys=("warning.used_per_step", "warning.trust_floor"),
        works=lambda c: c.warning.audit.uses,
        because=lambda c: f"warning.audit={c.warning.audit} draws no trusted vote",
        instead="say warning.audit=used or warning.audit=both",
        by=("warning",),
    ),
    Rule(
        keys=("warning.max_rollbacks",),
        works=lambda c: c.warning.action is OnRisk.rollback,
        because=lambda c: f"warning.action={c.warning.action} never rolls back",
        instead="say warning.action=rollback",
        by=("warning",),
    ),
    Rule(
        keys=("warning.budget_factor",),
        works=lambda c: c.warning.action is OnRisk.raise_budget,
        because=lambda c: f"warning.action={c.warning.action} never raises the budget",
        instead="say warning.action=raise_budget with budget_total",
        by=("warning",),
    ),
    Rule(
        keys=(
            "tracking.project",
            "tracking.entity",
            "tracking.tags",
            "tracking.share_labels",
            "tracking.checkpoints",
        ),
        works=lambda c: c.tracking.kind in (Tracking.wandb, Tracking.offline),
        because=lambda c: f"it is Weights & Biases', and tracking={c.tracking.kind}",
        instead="say tracking=wandb or tracking=offline",
        by=("tracking",),
        idle=(False, []),
    ),
    Rule(
        keys=("tracking.examples_prompts",),
        works=lambda c: c.tracking.examples_every > 0,
        because=lambda c: "tracking.examples_every=0 records no examples",
        instead="set tracking.examples_every, e.g. to 25",
        by=("tracking",),
    ),
    Rule(
        keys=("root",),
        works=lambda c: c.run_dir is None,
        because=lambda c: f"run_dir={c.run_dir} is the run's folder",
        instead="leave run_dir out",
        by=("run_dir",),
    ),
)
