"""What went wrong in a run, from its rows: each fault with the step since which it holds.

A run may have several: one that stops ending its responses mostly loses its accuracy, too. The
gravest comes first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean
from typing import Any

from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.collapse.definition import (
    EVALUATIONS,
    FEWEST,
    FLOOR,
    LOST,
    SURELY_BELOW,
    WINDOW,
    WINDOWS,
    find_collapse,
)
from rlavr_hpc.telemetry.learning_signal import SignalLoss, lost_signal

Rows = Sequence[Mapping[str, Any]]

HELD_OUT = "held_out"
"""The run's own test set."""
MOST = 0.9
"""Share of the last steps' responses with a fault that says that it rules."""
HARDLY_ANY = 0.01
"""Share of a whole run's responses that could be read, below which nothing was graded."""
HALF = 0.5
"""Share of a step's responses below which it does not."""


class Fault(StrEnum):
    """What is wrong with a run."""

    graded_nothing = "graded_nothing"
    """No response of any step could be read, or hardly any in all steps alike."""
    learnt_nothing = "learnt_nothing"
    """No step could teach anything."""
    collapsed = "collapsed"
    """By the definition."""
    lost_accuracy = "lost_accuracy"
    """Surely less accurate than it was, and not by as much as in a collapse."""
    stopped_answering = "stopped_answering"
    """Hardly any response states an answer any more."""
    stopped_ending = "stopped_ending"
    """Hardly any response ends before its limit any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFault:
    """A fault of a run."""

    fault: Fault
    since: int | None
    """The step since which it holds; None = the whole run."""
    before: float | None = None
    """Mean true reward or held-out accuracy at its best, or the share of responses before."""
    after: float | None = None
    """The same since then."""
    measured_by: str = ""
    """The metric that shows it."""


def faults_of(rows: Rows, *, samples: int) -> tuple[FoundFault, ...]:
    """What is wrong with a run, the gravest first; nothing with most.

    Args:
        rows: of the run's line, oldest first; the row of step 0 counts for its evaluation alone.
        samples: `eval.samples`, part of the held-out accuracy's name.
    """
    steps = _steps(rows)
    lost = lost_signal(steps)
    if lost is not None and lost.nothing_learnt:
        unread = SignalLoss.unparsable in lost.losses
        return (
            FoundFault(fault=Fault.graded_nothing if unread else Fault.learnt_nothing, since=None),
        )
    if _hardly_read(steps):
        return (FoundFault(fault=Fault.graded_nothing, since=None),)
    found = (
        _lost(rows, samples=samples) if _can_be_judged(rows) else None,
        _ruled(steps, names.COLLAPSE_UNPARSABLE, Fault.stopped_answering),
        _ruled(steps, names.COLLAPSE_TRUNCATED, Fault.stopped_ending),
    )
    return tuple(fault for fault in found if fault is not None)


def _hardly_read(steps: Rows) -> bool:
    """From the first step on; a run that loses its answers has stopped stating them."""
    shares = column(steps, names.COLLAPSE_UNPARSABLE)
    if shares is None or len(shares) < FEWEST:
        return False
    return min(shares) >= MOST and fmean(shares) > 1.0 - HARDLY_ANY


def has_collapsed(rows: Rows, *, samples: int) -> bool | None:
    """By the true rewards where the audit measured them, and by held-out accuracy; None = unknown.

    Below `FEWEST` steps there is no verdict. Records of before standard errors were measured
    are judged by the last accuracy alone.
    """
    if not _can_be_judged(rows):
        return None
    rewards = column(_steps(rows), names.ORACLE_TRUE_REWARD) or []
    accuracies, errors = _accuracies(rows, samples=samples)
    if len(rewards) >= FEWEST or (errors is not None and len(accuracies) > 1):
        lost = _lost(rows, samples=samples)
        return lost is not None and lost.fault is Fault.collapsed
    if rewards or len(accuracies) < 2:
        return None
    return accuracies[-1] < FLOOR * max(accuracies)


def _can_be_judged(rows: Rows) -> bool:
    """A fall within the first steps is no collapse yet, however it was measured."""
    return max((row["step"] for row in rows), default=0) >= FEWEST


def column(rows: Rows, name: str) -> list[float] | None:
    """A metric of all rows; None where one lacks it, or there is none."""
    values = [row[name] for row in rows if name in row]
    return values if values and len(values) == len(rows) else None


def _accuracies(rows: Rows, *, samples: int) -> tuple[list[float], list[float] | None]:
    """Held-out mean@n of every evaluation, and the standard errors; None where one is unknown."""
    name = names.eval_name(HELD_OUT, "mean", samples)
    evaluated = [row for row in rows if name in row]
    errors = column(evaluated, names.eval_name(HELD_OUT, "stderr", samples))
    return [row[name] for row in evaluated], errors


def _steps(rows: Rows) -> Rows:
    return [row for row in rows if row["step"] > 0]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """A series that says how accurate a run is."""

    rows: Rows
    metric: str
    variances: Sequence[float] | None
    windows: Sequence[int]

    def lost(self, fault: Fault) -> FoundFault | None:
        """Whether it fell as the fault says."""
        share = FLOOR if fault is Fault.collapsed else LOST
        found = find_collapse(
            [row[self.metric] for row in self.rows],
            self.variances,
            windows=self.windows,
            floor=share,
            surely_below=SURELY_BELOW if fault is Fault.collapsed else 1.0,
        )
        if found is None:
            return None
        return FoundFault(
            fault=fault,
            since=int(self.rows[found.onset - 1]["step"]),
            before=found.best,
            after=found.last,
            measured_by=self.metric,
        )


def _lost(rows: Rows, *, samples: int) -> FoundFault | None:
    """A collapse, or else accuracy that was lost: by the true rewards, then by the held-out set."""
    measured = _measures(rows, samples=samples)
    shown = (m.lost(fault) for fault in (Fault.collapsed, Fault.lost_accuracy) for m in measured)
    return next((fault for fault in shown if fault is not None), None)


def _measures(rows: Rows, *, samples: int) -> list[_Measured]:
    steps, found = _steps(rows), []
    if column(steps, names.ORACLE_TRUE_REWARD) is not None:
        variances = column(steps, names.ORACLE_TRUE_REWARD_VARIANCE)
        found.append(
            _Measured(
                rows=steps, metric=names.ORACLE_TRUE_REWARD, variances=variances, windows=WINDOWS
            )
        )
    accuracy = names.eval_name(HELD_OUT, "mean", samples)
    _, errors = _accuracies(rows, samples=samples)
    if errors is not None:
        found.append(
            _Measured(
                rows=[row for row in rows if accuracy in row],
                metric=accuracy,
                variances=[error**2 for error in errors],
                windows=EVALUATIONS,
            )
        )
    return found


def _ruled(steps: Rows, name: str, fault: Fault) -> FoundFault | None:
    """A fault of single responses that came to rule the steps to the end."""
    shares = column(steps, name)
    if shares is None or len(shares) < FEWEST:
        return None
    before = [place for place, share in enumerate(shares) if share < HALF]
    if fmean(shares[-WINDOW:]) < MOST or not before:
        return None
    since = before[-1] + 1
    return FoundFault(
        fault=fault,
        since=int(steps[since]["step"]),
        before=fmean(shares[:since]),
        after=fmean(shares[since:]),
        measured_by=name,
    )


def describe_fault(found: FoundFault) -> str:
    """What happened, as part of a sentence: `true reward 0.47 -> 0.05 from step 31 on`."""
    if found.before is None or found.after is None:
        return WORDS[found.fault]
    words = WORDS[found.fault]
    if found.fault in (Fault.stopped_answering, Fault.stopped_ending):
        return f"{words} from step {found.since} on: {found.before:.0%} -> {found.after:.0%}"
    title = "held-out accuracy"
    if found.measured_by == names.ORACLE_TRUE_REWARD:
        title = "true reward"
    return f"{words} from step {found.since} on: {title} {found.before:.3f} -> {found.after:.3f}"


WORDS = {
    Fault.graded_nothing: "graded nothing",
    Fault.learnt_nothing: "learnt nothing",
    Fault.collapsed: "collapsed",
    Fault.lost_accuracy: "lost accuracy",
    Fault.stopped_answering: "stopped stating answers",
    Fault.stopped_ending: "stopped ending its responses",
}
