"""Tables of `benchmarks.verdicts` about the alarm, the hint and the certificates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import ceil
from statistics import median

from benchmarks.verdict_cells import batches, by_batch, by_way
from benchmarks.verdict_rows import Row

FLOOR = 0.8
"""`warning.trust_floor` of all runs."""
ALARMS = """
## Alarm and hint

Delay: steps from the one that was broken first, that one included as 0; median / 90% of the runs
that were found. *Breakage*: the part of the hint that looks for answers that vanish or scatter.
Before: raised before anything was broken.
"""
SOUND_ALARMS = """
Sound runs. An alarm of the bound `trust` is true, not false, where fewer trusted votes were right
than `warning.trust_floor=0.8` in the 20 steps before, by all labels.
"""
CERTIFICATES = """
## Certificates

Certified: the share of trusted votes that were right on average, as said at the end. True share:
by all labels, mean of all steps.
"""


def alarm_lines(sound: Sequence[Row], broken: Sequence[Row]) -> list[str]:
    """All tables, with what is to be known of them."""
    return [
        *(ALARMS, *delay_table(broken), SOUND_ALARMS, *false_alarm_table(sound)),
        *(CERTIFICATES, *certificate_table([*sound, *broken])),
    ]


def delay_table(broken: Sequence[Row]) -> list[str]:
    """When alarm, hint and breakage were there in broken runs."""
    lines = [
        "| broken by | runs | alarm found | bounds | delay | hint found | delay | breakage found "
        "| delay | before: alarm, hint |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for way, mine in [*by_way(broken), ("**all**", list(broken))]:
        bounds = Counter(r.alarm_bound for r in mine if _delay(r, r.alarm_step) is not None)
        named = ", ".join(f"{name} {count}" for name, count in sorted(bounds.items()))
        early = [
            sum(step is not None and step < r.begins for r, step in voice)
            for voice in (
                [(r, r.alarm_step) for r in mine],
                [(r, r.hint_step) for r in mine],
            )
        ]
        cells = [
            _found([_delay(r, r.alarm_step) for r in mine]),
            _found([_delay(r, r.hint_step) for r in mine]),
            _found([_delay(r, r.breakage_step) for r in mine]),
        ]
        lines.append(
            f"| {way} | {len(mine)} | {cells[0][0]} | {named} | {cells[0][1]} | {cells[1][0]} "
            f"| {cells[1][1]} | {cells[2][0]} | {cells[2][1]} | {early[0]}, {early[1]} |"
        )
    return lines


def false_alarm_table(sound: Sequence[Row]) -> list[str]:
    """Alarms and hints in sound runs."""
    lines = [
        f"| sound | runs | alarms | false alarms | by batch {batches()} | hints "
        f"| by batch {batches()} | breakage |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for way, mine in [*by_way(sound), ("**all**", list(sound))]:
        lines.append(
            f"| {way} | {len(mine)} | {sum(r.alarm_step is not None for r in mine)} "
            f"| {sum(r.false_alarm(FLOOR) for r in mine)} "
            f"| {by_batch(mine, lambda r: r.false_alarm(FLOOR))} "
            f"| {sum(r.hint_step is not None for r in mine)} "
            f"| {by_batch(mine, lambda r: r.hint_step is not None)} "
            f"| {sum(r.breakage_step is not None for r in mine)} |"
        )
    raised = [r for r in sound if r.alarm_step is not None]
    told = [
        f"- seed {r.seed}, {r.way}, {r.policy}, batch {r.batch}: `{r.alarm_bound}` at step "
        f"{r.alarm_step}"
        + (
            ""
            if r.trusted_right is None
            else f"; trusted votes right before: {r.trusted_right:.2f}"
        )
        for r in raised
    ]
    return [*lines, *(["", "Each alarm in a sound run:", "", *told] if told else [])]


def certificate_table(rows: Sequence[Row]) -> list[str]:
    """What was certified, beside the truth."""
    lines = [
        "| policy | runs that audit trust | certificates | certified | true share | false |",
        "|---|---|---|---|---|---|",
    ]
    audited = [r for r in rows if r.certified is not None]
    for policy in sorted({r.policy for r in audited}):
        mine = [r for r in audited if r.policy == policy]
        pairs = [
            (r.certified, r.trusted_mean)
            for r in mine
            if r.certified and r.trusted_mean is not None
        ]
        if pairs:
            certified, true = zip(*pairs, strict=True)
            cells = (
                f"{min(certified):.2f} to {max(certified):.2f} | {min(true):.2f} to {max(true):.2f}"
            )
        else:
            cells = " | "
        false = sum(share > true for share, true in pairs)
        lines.append(f"| {policy} | {len(mine)} | {len(pairs)} | {cells} | {false} |")
    return lines


def _delay(row: Row, step: int | None) -> int | None:
    return None if step is None or step < row.begins else step - row.begins


def _found(delays: Sequence[int | None]) -> tuple[str, str]:
    """How many were found, and median / 90% of their delays."""
    there = sorted(delay for delay in delays if delay is not None)
    if not there:
        return f"0 of {len(delays)}", ""
    late = there[ceil(0.9 * len(there)) - 1]
    return f"{len(there)} of {len(delays)}", f"{median(there):.0f} / {late}"
