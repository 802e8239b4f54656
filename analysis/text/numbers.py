"""Numbers and counts as the report writes them."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.run_findings import RunFindings
from analysis.study_findings import Interval

MINUTE, HOUR = 60.0, 3600.0
NONE = "\N{EN DASH}"
"""What stands where there is no value."""


def outcome(run: RunFindings) -> str:
    """`collapsed`, `healthy`, `unknown` (cannot be judged) or `planned` (nothing on disk)."""
    if run.verdict.collapsed is not None:
        return "collapsed" if run.verdict.collapsed else "healthy"
    return "unknown" if run.steps or run.curves else "planned"


def counted(count: int, noun: str, plural: str = "") -> str:
    """`1 run`, `3 runs`."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def listed(parts: Sequence[str], most: int = 6) -> str:
    """`a, b, c`; the rest is counted when there are more than `most`."""
    more = [f"{len(parts) - most} more"] if len(parts) > most else []
    return ", ".join([*parts[:most], *more])


def number(value: float | None, digits: int = 3) -> str:
    """Decimals below 100, thousands with commas above and for integers; a dash for None."""
    if value is None:
        return NONE
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.{digits}f}"


def percent(value: float | None) -> str:
    """A share as `45%`; a dash for None."""
    return NONE if value is None else f"{100 * value:.0f}%"


def duration(seconds: float) -> str:
    """`48 s`, `12 min`, `3.4 h`."""
    if seconds < 2 * MINUTE:
        return f"{seconds:.0f} s"
    return f"{seconds / MINUTE:.0f} min" if seconds < 2 * HOUR else f"{seconds / HOUR:,.1f} h"


def with_interval(found: Interval | None) -> str:
    """`0.720 [0.680, 0.760]`; the mean alone for one run."""
    if found is None:
        return NONE
    if found.count < 2:
        return number(found.mean)
    return f"{number(found.mean)} [{number(found.low)}, {number(found.high)}]"


def steps_ahead(lead: float | None) -> str:
    """`4 steps before the onset`, `at the onset`, `7 steps after it`."""
    if lead is None:
        return NONE
    if round(lead) == 0:
        return "at the onset"
    side = "before" if lead > 0 else "after"
    return f"{counted(abs(round(lead)), 'step')} {side} the onset"


def clipped(text: str, length: int) -> str:
    """At most `length` characters, with an ellipsis where some are missing; no line breaks."""
    flat = " ".join(text.split())
    return flat if len(flat) <= length else f"{flat[: length - 1]}\N{HORIZONTAL ELLIPSIS}"
