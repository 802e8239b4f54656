"""Reports on the spend of many runs: as text for a person, as plain values for a program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rlavr_hpc.spending.live_spend import joined_payments
from rlavr_hpc.spending.totals import (
    PolicySpend,
    SpendEntry,
    by_policy,
    report_steps,
)

NO_LEDGER = "no ledger yet"
HEAD = ("run", "settings", "status", "steps", "bought", "allowed", "void", "cost", "open")


def as_text(entries: Sequence[SpendEntry]) -> list[str]:
    """Spend per run, totals per policy, labels over the steps."""
    runs = [entry for entry in entries if not entry.found.foreign]
    steps = report_steps(runs)
    policies = by_policy(runs, steps)
    lines = [totals(runs), "", *_table([HEAD, *(_row(e) for e in runs if not e.error)])]
    lines += [f"{e.found.name}  {e.status}, cannot be counted: {e.error}" for e in runs if e.error]
    if policies:
        head = ("policy", "runs", "labels", "cost", "labels/run")
        lines += ["", *_table([head, *(_policy_row(policy) for policy in policies)])]
    if policies and steps:
        over = [(_policy_name(p), *map(str, p.by_step)) for p in policies]
        lines += ["", "labels bought until step"]
        lines += _table([("policy", *map(str, steps)), *over])
    return [*lines, *foreign_folders(entries)]


def as_values(entries: Sequence[SpendEntry]) -> dict[str, Any]:
    """The same for a program."""
    runs = [entry for entry in entries if not entry.found.foreign]
    steps = report_steps(runs)
    policies = by_policy(runs, steps)
    return {
        "labels_bought": _bought(runs),
        "cost": _cost(runs),
        **_live_values(runs),
        "runs": [_values(entry) for entry in runs],
        "policies": [_policy_values(policy) for policy in policies],
        "over_time": {
            "steps": list(steps),
            "labels": [
                {"acquisition": p.acquisition, "budget": p.budget, "labels": list(p.by_step)}
                for p in policies
            ],
        },
        "foreign": [entry.found.name for entry in entries if entry.found.foreign],
    }


def proof_text(entries: Sequence[SpendEntry]) -> list[str]:
    """One line per run: valid, or what is wrong with it; below it, what does not count."""
    lines = []
    for entry in entries:
        if entry.found.foreign:
            continue
        lines.append(f"{entry.found.name}: {_proof_line(entry)}")
        if entry.proof:
            lines += [f"  {text}" for text in (*entry.proof.remarks, *entry.proof.uncounted_lines)]
    return [*lines, *foreign_folders(entries), totals(entries)]


def proof_values(entries: Sequence[SpendEntry]) -> dict[str, Any]:
    """The same for a program."""
    values = as_values(entries)
    runs = [entry for entry in entries if not entry.found.foreign]
    for run, entry in zip(values["runs"], runs, strict=True):
        proof = entry.proof
        run["valid"] = None if entry.has_no_ledger and not entry.proof else entry.proof is not None
        run["uncounted_lines"] = [asdict(left) for left in proof.uncounted_lines] if proof else []
        run["remarks"] = list(proof.remarks) if proof else []
    return {"valid": not any(entry.error for entry in entries), **values}


def totals(entries: Sequence[SpendEntry]) -> str:
    """One sentence on all runs."""
    runs = [entry for entry in entries if not entry.found.foreign]
    wrong, empty = sum(e.error is not None for e in runs), sum(e.has_no_ledger for e in runs)
    valid = sum(e.proof is not None and not e.has_no_ledger for e in runs)
    parts = [f"{len(runs)} run{'s' if len(runs) != 1 else ''}"]
    parts += [f"{valid} valid"] if valid else []
    parts += [f"{wrong} wrong, their labels are not counted here"] if wrong else []
    parts += [f"{empty} with {NO_LEDGER}"] if empty else []
    return f"{', '.join(parts)}: {_bought(runs)} labels bought for {_cost(runs):g}{_live(runs)}"


def foreign_folders(entries: Sequence[SpendEntry]) -> list[str]:
    """A line on each folder without a run."""
    return [
        f"{e.found.name}: foreign: no run of its own is in it" for e in entries if e.found.foreign
    ]


def _proof_line(entry: SpendEntry) -> str:
    if entry.error:
        return f"WRONG: {entry.error}"
    if entry.spend is None or entry.has_no_ledger:
        return f"{entry.status}, {NO_LEDGER}"
    spend = entry.spend
    waiting = f", {spend.open_intents} open intents" if spend.open_intents else ""
    return f"valid: {spend.lines} lines, {spend.bought} labels for {spend.cost:g}{waiting}"


def _row(entry: SpendEntry) -> tuple[str, ...]:
    spend = entry.spend
    if spend is None:
        return (entry.found.name, entry.label, entry.status, *[""] * (len(HEAD) - 3))
    return (
        entry.found.name,
        entry.label,
        spend.status,
        f"{entry.state.step if entry.state else spend.step}/{spend.steps}",
        *map(str, (spend.bought, spend.allowed, spend.void)),
        f"{spend.cost:g}",
        str(spend.open_intents),
    )


def _policy_row(policy: PolicySpend) -> tuple[str, ...]:
    figures = (str(policy.runs), str(policy.labels), f"{policy.cost:g}", f"{policy.mean:.1f}")
    return (_policy_name(policy), *figures)


def _policy_name(policy: PolicySpend) -> str:
    return f"{policy.acquisition} budget={policy.budget:g}"


def _values(entry: SpendEntry) -> dict[str, Any]:
    facts = asdict(entry.spend) if entry.spend else {"status": entry.status}
    return {
        "run": entry.found.name,
        "run_id": entry.run_id,
        "overrides": list(entry.found.overrides),
        **facts,
        **(entry.live.values() if entry.live else {}),
        "error": entry.error,
    }


def _policy_values(policy: PolicySpend) -> dict[str, Any]:
    return {
        "acquisition": policy.acquisition,
        "budget": policy.budget,
        "runs": policy.runs,
        "labels": policy.labels,
        "cost": policy.cost,
        "labels_per_run": policy.mean,
    }


def _bought(entries: Sequence[SpendEntry]) -> int:
    return sum(entry.spend.bought for entry in entries if entry.spend)


def _cost(entries: Sequence[SpendEntry]) -> float:
    return sum(entry.spend.cost for entry in entries if entry.spend)


def _live_values(entries: Sequence[SpendEntry]) -> dict[str, Any]:
    """Orders to live label sources; nothing where no run has one."""
    live = [entry.live for entry in entries if entry.live]
    if not live:
        return {}
    return {
        "labels_ordered": sum(one.ordered for one in live),
        "labels_pending": sum(one.pending for one in live),
        "cost_paid": sum(joined_payments(live).values()),
    }


def _live(entries: Sequence[SpendEntry]) -> str:
    values = _live_values(entries)
    if not values:
        return ""
    return (
        f" as charged; from live sources {values['labels_ordered']} answers ordered, "
        f"{values['labels_pending']} pending, really paid {values['cost_paid']:g}"
    )


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Columns as wide as their widest cell; texts to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    left = {i for i, name in enumerate(rows[0]) if name in ("run", "settings", "status", "policy")}
    return [
        "  ".join(
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
