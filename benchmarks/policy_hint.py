"""How good the hint of collapse is: its threshold chosen on one half of the runs, judged on others.

A run is *collapsed*, or *sound* (no fault at all), or has another fault and is not counted. A hint
in a sound run is a false alarm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.policy_plan import BUDGET, REASONING, REUSE, WORLDS
from benchmarks.policy_rows import THRESHOLDS, Row
from rlavr_hpc.config.warning import WarningConfig

FALSE_ALARMS = 0.05
"""Largest share of sound runs with a hint that a chosen threshold may have."""
SHIPPED = WarningConfig().threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class HintRecord:
    """What a threshold does on some runs."""

    collapsed: int
    found: int
    """Of them, with a hint at any step."""
    delay: float | None
    """Median steps from the onset to the hint; below 0 = before."""
    sound: int
    false: int
    """Of them, with a hint."""


def judge_hint(rows: Sequence[Row], threshold: float) -> HintRecord:
    """What a threshold does on these runs."""
    bad = [row for row in rows if row.collapsed]
    sound = [row for row in rows if not row.faults]
    steps = [(row.collapse_step, row.hinted_at(threshold)) for row in bad]
    found = [step for _, step in steps if step is not None]
    delays = [step - onset for onset, step in steps if step is not None and onset is not None]
    return HintRecord(
        collapsed=len(bad),
        found=len(found),
        delay=median(delays) if delays else None,
        sound=len(sound),
        false=sum(row.hinted_at(threshold) is not None for row in sound),
    )


def choose_threshold(rows: Sequence[Row]) -> float | None:
    """Of the thresholds with few enough false alarms, the one that finds most collapses.

    Among equals it is the highest. None where there is no collapsed or no sound run to choose by.
    """
    records = {bar: judge_hint(rows, bar) for bar in THRESHOLDS}
    if not all(record.collapsed and record.sound for record in records.values()):
        return None
    allowed = {
        bar: record.found
        for bar, record in records.items()
        if record.false <= FALSE_ALARMS * record.sound
    }
    return max(allowed, key=lambda bar: (allowed[bar], bar), default=None)


def hint_section(rows: Sequence[Row]) -> list[str]:
    """The rule, and tables for the shipped threshold and the chosen one."""
    ours = [row for row in rows if row.study in (BUDGET, REUSE)]
    odd = [row for row in ours if row.seed % 2]
    chosen = choose_threshold(odd)
    parts = {
        "odd seeds, for choosing": odd,
        "even seeds": [row for row in ours if not row.seed % 2],
        "worlds nobody tuned on": [row for row in rows if row.study == WORLDS],
        "reasoning": [row for row in rows if row.study == REASONING],
    }
    said = "none has" if chosen is None else f"it is {chosen:g}"
    lines = [
        "## The hint of collapse",
        "",
        f"The shipped threshold of `collapse/risk` is {SHIPPED:g}. Chosen on the odd seeds of the",
        "studies of budget and reuse: the threshold that finds most collapses while at most",
        f"{FALSE_ALARMS:.0%} of the sound runs have a hint, and the highest of equals; {said}.",
        "The other runs were not used for choosing. Collapsed: by the definition. Sound: without",
        "any fault. Delay: steps from the onset of collapse to the hint, median; below 0 = before.",
        "",
        "| threshold | runs | collapsed | of these hinted | delay | sound | false alarms |",
        "|---|---|---|---|---|---|---|",
    ]
    for bar in dict.fromkeys([SHIPPED, *([chosen] if chosen is not None else [])]):
        lines += [_row(bar, name, judge_hint(part, bar)) for name, part in parts.items() if part]
    arms = sorted({row.arm for row in rows})
    lines += ["", f"All runs by policy, at {SHIPPED:g}:", ""]
    lines += ["| policy | collapsed | of these hinted | delay | sound | false alarms |"]
    lines += ["|---|---|---|---|---|---|"]
    for arm in arms:
        record = judge_hint([row for row in rows if row.arm == arm], SHIPPED)
        lines.append(f"| {arm} | {_cells(record)} |")
    return lines


def _row(threshold: float, name: str, record: HintRecord) -> str:
    return f"| {threshold:g} | {name} | {_cells(record)} |"


def _cells(record: HintRecord) -> str:
    delay = "" if record.delay is None else f"{record.delay:+.0f}"
    return f"{record.collapsed} | {record.found} | {delay} | {record.sound} | {record.false}"
