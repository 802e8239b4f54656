"""A profile's events as a table: per phase of a step its seconds, their kinds, and top operators.

An event counts in the phase in which it starts. Times in the trace are microseconds, in the results
seconds.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

MARK = "step"
"""Name of the range around a step; a phase's is MARK/PHASE."""
OTHER = "other"
"""The part of a step outside all phases."""
SHORTEST = 10.0
"""Shorter operators are mostly dispatch, and mostly Python."""
TOP = 5
SECOND = 1e6
COMMUNICATION = ("nccl", "gloo", "c10d::", "all_gather", "all_reduce", "reduce_scatter")
COMPUTE = ("mm", "linear", "gemm", "attention", "attn", "flash", "fmha", "conv", "nvjet", "cutlass")


class Bound(StrEnum):
    """What takes a phase's time."""

    python = "python"
    """Python and dispatch: no operator (on an accelerator: no kernel) runs, or a tiny one."""
    compute = "compute"
    """Matrix products and attention."""
    memory = "memory"
    """All other operators and kernels: they mostly read and write memory."""
    communication = "communication"
    """Collectives between ranks, waiting included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One range of a trace."""

    name: str
    start: float
    length: float
    own: float
    """The part of `length` outside all events within it."""
    on_device: bool = False
    """A kernel on an accelerator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseRow:
    """A phase, over all profiled steps."""

    phase: str
    seconds: float
    """Per step."""
    share: float
    """Of a step."""
    calls: int
    """Operators and kernels per step."""
    parts: dict[Bound, float]
    """Seconds per step of each kind; they add up to `seconds`."""
    bound: Bound
    """The largest part."""
    top: list[tuple[str, float, int]]
    """(operator, own seconds per step, calls per step), the longest first."""


def tabulate(events: Iterable[Event]) -> list[PhaseRow]:
    """One row per phase in order of its first appearance, `other` last.

    Where there are kernels, they decide what bounds a phase; else the CPU's operators do.

    Raises:
        ValueError: no step was marked.
    """
    events = list(events)
    marks = sorted(
        (e for e in events if e.name.startswith(MARK + "/") and not e.on_device),
        key=lambda e: e.start,
    )
    steps = [event for event in events if event.name == MARK and not event.on_device]
    if not steps:
        raise ValueError("the trace holds no step")
    whole = sum(step.length for step in steps)
    length: defaultdict[str, float] = defaultdict(float)
    for mark in marks:
        length[_phase(mark)] += mark.length
    length[OTHER] = whole - sum(length.values())
    inside: dict[str, list[Event]] = {phase: [] for phase in length}
    starts = [mark.start for mark in marks]
    on_device = any(event.on_device for event in events)
    for event in events:
        if _is_work(event) and event.on_device == on_device and _within(event, steps):
            index = bisect_right(starts, event.start) - 1
            covered = index >= 0 and event.start < marks[index].start + marks[index].length
            inside[_phase(marks[index]) if covered else OTHER].append(event)
    return [
        _row(phase, length[phase], inside[phase], whole=whole, steps=len(steps)) for phase in length
    ]


def as_text(rows: Sequence[PhaseRow]) -> str:
    """The rows as a text table; all times include the profiler's own cost."""
    kinds = list(Bound)
    lines = [
        f"{'phase':10s} {'seconds':>9s} {'share':>6s} {'calls':>7s}  "
        + "  ".join(f"{kind:>13s}" for kind in kinds)
        + "  bound by"
    ]
    for row in rows:
        parts = "  ".join(f"{row.parts[kind]:13.4f}" for kind in kinds)
        lines.append(
            f"{row.phase:10s} {row.seconds:9.4f} {row.share:6.1%} {row.calls:7d}  {parts}  "
            f"{row.bound}"
        )
    lines += ["", "longest operators, own seconds and calls per step"]
    for row in rows:
        lines += [f"{row.phase:10s} {own:9.4f} {n:7d}  {name[:72]}" for name, own, n in row.top]
    return "\n".join(lines) + "\n"


def as_values(rows: Sequence[PhaseRow]) -> list[dict[str, object]]:
    """The rows as plain values, for JSON."""
    return [asdict(row) for row in rows]


def _phase(mark: Event) -> str:
    return mark.name.removeprefix(MARK + "/")


def _is_work(event: Event) -> bool:
    """Whether it is an operator or a kernel, not a range that only marks a place.

    Nodes of the backward graph call operators; their own time is dispatch.
    """
    if event.on_device:
        return event.name != MARK and not event.name.startswith(MARK + "/")
    return "::" in event.name and not event.name.startswith("autograd::")


def _within(event: Event, steps: Sequence[Event]) -> bool:
    return any(step.start <= event.start < step.start + step.length for step in steps)


def _kind(event: Event) -> Bound:
    name = event.name.lower()
    if any(word in name for word in COMMUNICATION):
        return Bound.communication
    if event.own < SHORTEST and not event.on_device:
        return Bound.python
    return Bound.compute if any(word in name for word in COMPUTE) else Bound.memory


def _row(
    phase: str, length: float, inside: Sequence[Event], *, whole: float, steps: int
) -> PhaseRow:
    per_step = 1.0 / (SECOND * steps)
    parts = dict.fromkeys(Bound, 0.0)
    own: Counter[str] = Counter()
    for event in inside:
        parts[_kind(event)] += event.own
        own[event.name] += event.own  # type: ignore[assignment]
    busy = sum(parts[kind] for kind in Bound if kind is not Bound.python)
    parts[Bound.python] = max(0.0, length - busy)
    calls = Counter(event.name for event in inside)
    return PhaseRow(
        phase=phase,
        seconds=length * per_step,
        share=length / whole,
        calls=round(len(inside) / steps),
        parts={kind: value * per_step for kind, value in parts.items()},
        bound=max(parts, key=lambda kind: parts[kind]),
        top=[
            (name, value * per_step, round(calls[name] / steps))
            for name, value in own.most_common(TOP)
        ],
    )
