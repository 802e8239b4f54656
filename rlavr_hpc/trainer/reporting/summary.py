"""The outcome of a run: summary.json, and the lines printed at its end."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from rlavr_hpc.acquisition.ledger_state import LedgerState
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.errors import RlavrError
from rlavr_hpc.io import write_atomic
from rlavr_hpc.runs.attempts import read_attempts, standing
from rlavr_hpc.runs.identity import hash_of_folder
from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.collapse.definition import FLOOR, collapse_onset
from rlavr_hpc.telemetry.collapse.early_warning import first_alarm
from rlavr_hpc.telemetry.examples.record import read_examples
from rlavr_hpc.telemetry.learning_signal import as_record, choose_endings, lost_signal
from rlavr_hpc.telemetry.sinks import read_line, read_metrics
from rlavr_hpc.trainer.components import HELD_OUT
from rlavr_hpc.trainer.hooks.first_step import grading_keys

SCHEMA = 1


def summarize(
    run_dir: Path,
    config: RunConfig,
    *,
    status: str,
    ledger_state: LedgerState,
    audits: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Compute summary.json from the run's record, and write it.

    Args:
        run_dir: the run's folder.
        config: of the run.
        status: "done", "stopped" or "failed".
        ledger_state: all that it bought.
        audits: what its audits of votes say; None without audits.
    """
    rows, done = read_line(run_dir), read_metrics(run_dir)
    attempts = read_attempts(run_dir)
    steps = max((row["step"] for row in rows), default=0)
    accuracies = held_out_accuracies(rows, samples=config.eval.samples)
    reused = sum(int(row.get(names.LABELS_REUSED, 0)) for row in rows)
    taken = sum(row["step"] > 0 for row in done)  # steps of rolled-back branches included
    summary = {
        "version": SCHEMA,
        "status": status,
        "steps": steps,
        "accuracy_start": accuracies[0][1] if accuracies else None,
        "accuracy_end": accuracies[-1][1] if accuracies else None,
        "budget": config.budget,
        "budget_effective": config.budget_effective,
        "labels_bought": ledger_state.bought,
        "labels_void": ledger_state.void,
        "labels_reused": reused,
        "labels_audited": ledger_state.audits.total,
        "labels_allowed": config.labels_allowed(taken),
        "collapsed": has_collapsed(rows, accuracies),
        "lost_signal": _lost_signal(run_dir, rows, config),
        "collapse_step": collapse_onset(_true_rewards(rows)),
        "early_warning": first_alarm(
            rows, threshold=config.warning.threshold, selective=config.acquisition.has_trust
        ),
        "audits": audits,
        "attempts": sum(attempt.reason == "start" for attempt in attempts),
        "rollbacks": sum(a.reason == "rollback" for a in standing(attempts)),
        "wall_seconds": _wall_seconds(run_dir, done),
        "config_hash": hash_of_folder(config, run_dir),
        "uses_oracle": config.acquisition.research_only,
    }
    write_atomic(run_dir / "summary.json", json.dumps(summary, indent=1) + "\n")
    return summary


def _lost_signal(
    run_dir: Path, rows: Sequence[Mapping[str, Any]], config: RunConfig
) -> dict[str, Any] | None:
    """What kept the run from learning, with some responses; None where nothing did."""
    lost = lost_signal(rows)
    if lost is None:
        return None
    with suppress(RlavrError):  # damaged examples are no reason to go without a summary
        first = [example for example in read_examples(run_dir) if example.step == lost.first_step]
        texts = ((e.responses[0].text, e.labelled) for e in first if e.responses)
        return as_record(lost, grading_keys(config), choose_endings(texts, lost.losses))
    return as_record(lost, grading_keys(config), [])


def held_out_accuracies(
    rows: Sequence[Mapping[str, Any]], *, samples: int
) -> list[tuple[int, float]]:
    """(step, mean@n) of every evaluation."""
    name = names.eval_name(HELD_OUT, "mean", samples)
    return [(row["step"], row[name]) for row in rows if name in row]


def _true_rewards(rows: Sequence[Mapping[str, Any]]) -> list[float]:
    """Of steps 1, 2, ...; empty when the audit was off for some of them."""
    steps = [row for row in rows if row["step"] > 0]
    if any(names.ORACLE_TRUE_REWARD not in row for row in steps):
        return []
    return [row[names.ORACLE_TRUE_REWARD] for row in steps]


def has_collapsed(
    rows: Sequence[Mapping[str, Any]], accuracies: Sequence[tuple[int, float]]
) -> bool | None:
    """By the true rewards where the audit measured them, else by accuracy; None = unknown."""
    rewards = _true_rewards(rows)
    if rewards:
        return collapse_onset(rewards) is not None
    if len(accuracies) > 1:
        return accuracies[-1][1] < FLOOR * max(accuracy for _, accuracy in accuracies)
    return None


def _wall_seconds(run_dir: Path, rows: Sequence[Mapping[str, Any]]) -> float:
    """Seconds of all attempts together, each from its token to its last row."""
    total = 0.0
    for attempt in read_attempts(run_dir):
        begun = datetime.fromisoformat(attempt.started).timestamp()
        last = max((row["time"] for row in rows if row["attempt"] == attempt.number), default=begun)
        total += max(0.0, last - begun)
    return round(total, 1)


def explain(summary: Mapping[str, Any], config: RunConfig, run_dir: Path) -> str:
    """The lines printed at the end of a run."""
    lines = ["", f"{config.name}: acquisition={config.acquisition.name}, {summary['steps']} steps"]
    if summary["accuracy_start"] is not None:
        start, end = summary["accuracy_start"], summary["accuracy_end"]
        lines.append(f"  held-out accuracy  {start:.3f} -> {end:.3f} ({end - start:+.3f})")
    lines.append(
        f"  labels bought      {summary['labels_bought']} of {summary['labels_allowed']} allowed "
        f"({config.quota} of {config.algorithm.batch} prompts a step)"
        + (f", {summary['labels_reused']} reused" if summary["labels_reused"] else "")
        + (f", {summary['labels_void']} void: no label there" if summary["labels_void"] else "")
    )
    lines += _warnings(summary)
    lines += [
        f"  outcome            {_outcome(summary, config)}",
        f"  everything is in   {run_dir}",
    ]
    if summary["uses_oracle"]:
        lines.append("  RESEARCH ONLY: this policy uses labels that were not bought")
    return "\n".join(lines)


def _warnings(summary: Mapping[str, Any]) -> list[str]:
    """What audits say, and the hint that needs none."""
    lines, audits = [], summary["audits"]
    if audits is not None:
        alarm = audits["alarm"]
        said = f"at step {alarm['step']}: {alarm['reason']}" if alarm else "silent"
        lines.append(f"  collapse alarm     {said} ({summary['labels_audited']} labels for audits)")
        if audits["words"]:
            lines.append(f"  certified          {audits['words']}")
    if (hint := summary["early_warning"]) is not None:
        lines.append(f"  hint of collapse   at step {hint['step']}: {hint['reason']}")
    return lines


def _outcome(summary: Mapping[str, Any], config: RunConfig) -> str:
    start, end = summary["accuracy_start"], summary["accuracy_end"]
    if (lost := summary["lost_signal"]) is not None and lost["nothing_learnt"]:
        return f"NOTHING LEARNT: {lost['text']}; {lost['mend']}"
    if summary["collapsed"]:
        step = summary["collapse_step"]
        since = f" from about step {step} on" if step else ""
        cause = (
            "no label was bought and the run trained on the majority vote alone; buy labels with "
            "another acquisition policy"
            if not config.quota
            else "every label was bought, so the cause is not a lack of labels; lower algorithm.lr"
            if config.quota == config.algorithm.batch
            else f"{summary['labels_bought']} labels did not prevent it; try a larger budget or "
            "another acquisition policy"
        )
        return f"COLLAPSED{since}: {cause}"
    if start is None:
        return "no held-out prompts, so no accuracy (set data.holdout or data.eval_path)"
    if end > start + 0.02:
        return "improved: held-out accuracy rose"
    if end < start - 0.02:
        return "held-out accuracy fell, but the run has not collapsed"
    return "no clear change of held-out accuracy"
