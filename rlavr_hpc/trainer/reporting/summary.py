"""The outcome of a run: summary.json, and the lines printed at its end."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from math import hypot
from pathlib import Path
from typing import Any

from rlavr_hpc.acquisition.ledger_state import LedgerState
from rlavr_hpc.acquisition.money_limit import labels_unaffordable, money_note
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.errors import RlavrError
from rlavr_hpc.io import write_atomic
from rlavr_hpc.runs.attempts import read_attempts, standing
from rlavr_hpc.runs.identity import hash_of_folder
from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.collapse.definition import FEWEST
from rlavr_hpc.telemetry.collapse.early_warning import first_alarm
from rlavr_hpc.telemetry.collapse.verdict import Fault, faults_of, has_collapsed
from rlavr_hpc.telemetry.examples.record import read_examples
from rlavr_hpc.telemetry.learning_signal import as_record, choose_endings, lost_signal
from rlavr_hpc.telemetry.sinks import read_line, read_metrics
from rlavr_hpc.trainer.components import HELD_OUT
from rlavr_hpc.trainer.hooks.first_step import grading_keys
from rlavr_hpc.trainer.reporting.faults import fault_record

SCHEMA = 1
UNSURE = 0.02
"""Change of held-out accuracy that says nothing, where its noise was not measured."""


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
    faults = faults_of(rows, samples=config.eval.samples)
    reused = sum(int(row.get(names.LABELS_REUSED, 0)) for row in rows)
    taken = sum(row["step"] > 0 for row in done)  # steps of rolled-back branches included
    summary = {
        "version": SCHEMA,
        "status": status,
        "steps": steps,
        "accuracy_start": accuracies[0][1] if accuracies else None,
        "accuracy_end": accuracies[-1][1] if accuracies else None,
        "accuracy_noise": _accuracy_noise(rows, config.eval.samples),
        "budget": config.budget,
        "budget_effective": config.budget_effective,
        "labels_bought": ledger_state.bought,
        "labels_void": ledger_state.void,
        "labels_reused": reused,
        "labels_audited": ledger_state.audits.total,
        "labels_unaffordable": labels_unaffordable(config, ledger_state),
        "labels_allowed": config.labels_allowed(taken),
        "collapsed": has_collapsed(rows, samples=config.eval.samples),
        "lost_signal": _lost_signal(run_dir, rows, config),
        "collapse_step": next((f.since for f in faults if f.fault is Fault.collapsed), None),
        "faults": [fault_record(f, config, bought=ledger_state.bought) for f in faults],
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
    if summary["labels_unaffordable"]:
        lines.append(f"  money              {money_note(config, summary['labels_unaffordable'])}")
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
    if faults := summary["faults"]:
        others = "".join(f"\n                     and {fault['text']}" for fault in faults[1:])
        fault, since, what = faults[0]["text"].partition(" from step")
        return f"{fault.upper()}{since}{what}; {faults[0]['mend']}{others}"
    if start is None:
        return _not_evaluated(config)
    if end > start + summary["accuracy_noise"]:
        return "improved: held-out accuracy rose"
    if end < start - summary["accuracy_noise"] and summary["collapsed"] is None:
        return f"held-out accuracy fell; below {FEWEST} steps nothing is called a collapse"
    if end < start - summary["accuracy_noise"]:
        return "held-out accuracy fell, but the run has not collapsed"
    return f"no change of held-out accuracy beyond its noise ({summary['accuracy_noise']:.3f})"


def _not_evaluated(config: RunConfig) -> str:
    """Why there is no accuracy, and what gives one."""
    if config.data.eval_path:
        return f"no row of data.eval_path={config.data.eval_path} has an answer, so no accuracy"
    if config.data.holdout:
        return (
            f"no row that data.holdout={config.data.holdout:g} could keep out of training has an "
            "answer, so no accuracy (name a file with answers: data.eval_path)"
        )
    return "no held-out prompts, so no accuracy (set data.holdout or data.eval_path)"


def fault_note(summary: Mapping[str, Any]) -> str:
    """What is wrong with the run, for its last heartbeat; "" = nothing, or told step by step."""
    faults, notes = summary["faults"], []
    if faults and summary["lost_signal"] is None:
        notes.append(f"{'; '.join(fault['text'] for fault in faults)}; {faults[0]['mend']}")
    if count := summary.get("labels_unaffordable"):
        notes.append(f"budget_cost left nothing for {count} more label{'s' * (count != 1)}")
    return "; ".join(notes)


def _accuracy_noise(rows: Sequence[Mapping[str, Any]], samples: int) -> float:
    """Change of held-out accuracy below which it says nothing: two standard errors of both ends."""
    name = names.eval_name(HELD_OUT, "stderr", samples)
    errors = [row[name] for row in rows if name in row]
    return 2.0 * hypot(errors[0], errors[-1]) if errors else UNSURE
