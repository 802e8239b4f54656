"""What a run has bought, decision by decision, as its ledger tells it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis.load.run import PURCHASES
from analysis.load.segments import Notes, segments
from rlavr_hpc.runs.attempts import Attempt, forks
from rlavr_hpc.telemetry import names

BESIDES = ("ordered", "sent", "received", "superseded", "seen", "audit", "audited")
"""Lines about orders to a live source, whose outcome is in the line `settled`, and about audits,
which are no purchase of the acquisition policy."""


def read_purchases(folder: Path, attempts: Sequence[Attempt], notes: Notes) -> pd.DataFrame:
    """One row per step with a decision or an outcome. `rlavr ledger verify` checks the chain."""
    decisions: dict[tuple[int, int], list[float]] = {}
    stray = 0
    for _, lines in segments(folder, "ledger", attempts, notes):
        for row in lines:
            key, kind = (row.get("branch", 0), row["step"]), row.get("kind")
            if kind == "intent":
                wanted = row.get("prompts")
                decisions[key] = [len(wanted) if isinstance(wanted, list) else 0, 0, 0, 0.0]
            elif kind in BESIDES:
                continue
            elif kind == "settled" or (kind in ("commit", "void") and key in decisions):
                entry = decisions.setdefault(key, [0, 0, 0, 0.0])  # also of an earlier decision
                entry[1 if kind == "commit" or row.get("label") is not None else 2] += 1
                cost = row.get("cost", 0.0)
                entry[3] += cost if isinstance(cost, int | float) else 0.0
            else:
                stray += 1
    if stray:
        notes.add(
            folder / "ledger",
            f"{stray} lines are no purchase or follow no decision; left out "
            f"(`rlavr ledger verify {folder}` names them)",
        )
    if not decisions:
        return pd.DataFrame(columns=PURCHASES)
    values = [[*key, *entry] for key, entry in sorted(decisions.items())]
    frame = pd.DataFrame(values, columns=PURCHASES[:-1])
    frame["on_line"] = on_line(frame["branch"], frame["step"], attempts)
    return frame


def compare_totals(folder: Path, line: pd.DataFrame, purchases: pd.DataFrame, notes: Notes) -> None:
    """The ledger's count of labels must be the one that the last row tells."""
    if names.LABELS_TOTAL not in line.columns or not len(line):
        return
    last = line[names.LABELS_TOTAL].dropna()
    if not len(last):
        return
    branch, step = line["branch"].loc[last.index[-1]], last.index[-1]
    before = (purchases["branch"] < branch) | (
        (purchases["branch"] == branch) & (purchases["step"] <= step)
    )
    bought = int(purchases.loc[before, "bought"].sum()) if len(purchases) else 0
    if bought != int(last.iloc[-1]):
        notes.add(
            folder / "ledger",
            f"{bought} labels are on record up to step {step}, the metrics tell of "
            f"{int(last.iloc[-1])}; `rlavr ledger verify {folder}` says more",
        )


def on_line(branches: pd.Series, steps: pd.Series, attempts: Sequence[Attempt]) -> pd.Series:
    """Whether each (branch, step) is among what the run has behind it: not rolled back."""
    stays = pd.Series(True, index=steps.index)
    for branch, step in forks(attempts).items():
        stays &= ~((branches < branch) & (steps > step))
    return stays
