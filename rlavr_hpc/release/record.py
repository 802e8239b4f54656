"""Facts of a checkpoint, read from its run's folder."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from rlavr_hpc.acquisition.ledger import read_ledger
from rlavr_hpc.acquisition.ledger_state import LedgerState
from rlavr_hpc.config.model import ModelConfig
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.evaluation.evaluated_model import RunSubject
from rlavr_hpc.evaluation.weights import manifest_digest
from rlavr_hpc.release.facts import (
    Code,
    Facts,
    LabelSpend,
    Method,
    Origin,
    TrainingOutcome,
    Weights,
)
from rlavr_hpc.runs.checkpoints import Checkpoint, TrainingState
from rlavr_hpc.runs.identity import is_hash_of
from rlavr_hpc.runs.provenance import read_provenance
from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.collapse.early_warning import first_alarm
from rlavr_hpc.telemetry.collapse.verdict import has_collapsed
from rlavr_hpc.telemetry.sinks import read_line
from rlavr_hpc.trainer.policy.tokenizer import TokenizerBundle
from rlavr_hpc.trainer.reporting.summary import held_out_accuracies
from rlavr_hpc.types import StepKey

HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
Rows = list[dict[str, Any]]


def gather(
    subject: RunSubject, checkpoint: Checkpoint, bundle: TokenizerBundle, *, weights: Weights
) -> Facts:
    """All that the run's folder says of one of its checkpoints.

    Raises:
        RlavrError: ledger, metrics or provenance are damaged.
    """
    run_dir, config, state = subject.run_dir, subject.config, checkpoint.state
    step_key = StepKey(seed=config.seed, step=state.step, branch=state.branch)
    rows = read_line(run_dir, until=state.step)
    provenance = read_provenance(run_dir, state.attempt)
    data = provenance.get("data", {})
    return Facts(
        origin=_origin(config, state, manifest_digest(checkpoint)),
        weights=weights,
        method=_method(config, state, bundle, data),
        spend=_spend(config, rows, read_ledger(run_dir), step_key),
        outcome=_outcome(config, rows, state.step, held_out=data.get("held_out")),
        code=_code(run_dir, provenance, state.attempt),
    )


def with_recorded_stops(
    run_dir: Path, state: TrainingState, bundle: TokenizerBundle
) -> TokenizerBundle:
    """The tokenizer with the stop tokens that the checkpoint's attempt used, where it says them.

    Raises:
        RlavrError: the provenance is damaged.
    """
    recorded = read_provenance(run_dir, state.attempt).get("data", {}).get("stop_token_ids")
    return replace(bundle, stop_ids=frozenset(recorded)) if recorded else bundle


def describe_weights(trained: ModelConfig, written: ModelConfig, *, parameters: int) -> Weights:
    """The model, without the path of a local one."""
    base, on_hub = base_name(trained)
    return Weights(
        base=base,
        on_hub=on_hub,
        parameters=parameters,
        dtype=str(written.dtype),
        trained_dtype=str(trained.dtype),
        trust_remote_code=trained.trust_remote_code,
    )


def base_name(model: ModelConfig) -> tuple[str, bool]:
    """What the initial model is called, without the path of a local one; whether on the hub."""
    if model.built_here:
        return str(model.source), False
    base = str(model.path)
    if HUB_NAME.fullmatch(base) and not Path(base).expanduser().exists():
        return base, True
    return Path(base).expanduser().absolute().name, False


def _origin(config: RunConfig, state: TrainingState, manifest: str) -> Origin:
    return Origin(
        run=config.name,
        config_hash=state.config_hash,
        config_changed=not is_hash_of(config, state.config_hash),
        seed=config.seed,
        step=state.step,
        steps=config.steps,
        branch=state.branch,
        attempt=state.attempt,
        ranks=state.world_size,
        manifest_sha256=manifest,
    )


def _method(
    config: RunConfig, state: TrainingState, bundle: TokenizerBundle, data: dict[str, Any]
) -> Method:
    algorithm, rollout, acquisition = config.algorithm, config.rollout, config.acquisition
    return Method(
        acquisition=acquisition.name,
        uses_oracle=acquisition.research_only,
        unlabelled=str(config.unlabelled),
        reward=config.reward.name,
        loss=algorithm.loss.name,
        learning_rate=algorithm.lr,
        batch=algorithm.batch,
        group_size=algorithm.group_size,
        temperature=rollout.temperature,
        max_response_tokens=rollout.max_response_tokens,
        stop_token_ids=tuple(sorted(bundle.stop_ids)),
        data=str(config.data.kind),
        prompts=data.get("prompts"),
        prompts_fingerprint=state.prompts_fingerprint,
        chat_template=data.get("templated"),
        system_prompt=bool(config.data.system_prompt),
    )


def _spend(
    config: RunConfig, rows: Rows, ledger_state: LedgerState, step_key: StepKey
) -> LabelSpend:
    past = ledger_state.until(step_key)
    assert config.budget is not None
    return LabelSpend(
        budget=config.budget,
        budget_effective=config.budget_effective,
        quota=config.quota,
        budget_total=config.budget_total,
        bought=past.bought,
        allowed=config.labels_allowed(max(step_key.step, len(past.decisions))),
        reused=sum(int(row.get(names.LABELS_REUSED, 0)) for row in rows),
        void=past.void,
        cost=past.cost,
    )


def _outcome(config: RunConfig, rows: Rows, step: int, *, held_out: int | None) -> TrainingOutcome:
    accuracies = held_out_accuracies(rows, samples=config.eval.samples)
    last = accuracies[-1] if accuracies else None
    return TrainingOutcome(
        statistic=f"mean@{config.eval.samples}",
        held_out=held_out,
        accuracy_start=accuracies[0][1] if accuracies and accuracies[0][0] == 0 else None,
        accuracy=last[1] if last and last[0] == step else None,
        last_measured=last,
        collapsed=has_collapsed(rows, samples=config.eval.samples),
        early_warning=first_alarm(
            rows, threshold=config.warning.threshold, selective=config.acquisition.has_trust
        ),
    )


def _code(run_dir: Path, provenance: dict[str, Any], attempt: int) -> Code:
    revision = provenance.get("git")
    before = [read_provenance(run_dir, n).get("git") for n in range(1, attempt)]
    return Code(
        revision=revision,
        earlier_revisions=tuple(dict.fromkeys(g for g in before if g and g != revision)),
        python=provenance.get("python"),
        packages=provenance.get("packages", {}),
    )
