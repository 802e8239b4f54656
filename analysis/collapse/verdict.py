"""Whether a run collapsed, since when, how, and when that could be detected.

`judge` puts together the onset (`onset`), what the signals did (`signals`), the kind (`kinds`) and
the early warning. It reads one run and knows no other.

`CollapseVerdict.detected` is the first alarm of three rules. None of them knows the future, or a
label that was not bought: risk where hardly any label was bought, risk that the bought labels
confirm, and risk above the early warning's own threshold. The thresholds were fixed on seeds 1 and
2 of the testbed's policies.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from analysis.collapse.faults import other_faults
from analysis.collapse.kinds import kind_of, reason
from analysis.collapse.nothing_learnt import explain_lost, nothing_learnt
from analysis.collapse.onset import Course, Measure, course_of, measure_of
from analysis.collapse.signals import SIGNALS, change_of, strength
from analysis.load.run import RunData
from analysis.run_findings import CollapseVerdict, SignalChange
from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.collapse.breakage import READ as SIGNS_OF_BREAKAGE
from rlavr_hpc.telemetry.collapse.definition import FEWEST, WINDOW, Collapse
from rlavr_hpc.telemetry.collapse.early_warning import FEW_LABELS, EarlyWarning, first_alarm
from rlavr_hpc.telemetry.collapse.verdict import describe_fault
from rlavr_hpc.telemetry.learning_signal import describe_lost

RISK_UNLABELLED = 0.2
"""Risk that counts where hardly any label was bought in the last ten steps: answers agree more, and
no label says whether they are right."""
RISK_DOUBTED = 0.25
"""Risk that counts where votes have been right on fewer of the bought prompts for a while."""
RISK_ALONE = 0.5
"""Risk that counts by itself: the early warning's default threshold."""
WATCHED = (
    names.COLLAPSE_MAJORITY_RATIO,
    names.COLLAPSE_ANSWER_ENTROPY,
    names.COLLAPSE_DISTINCT_ANSWERS,
    names.LABELS_BOUGHT,
    names.LABELS_VOTE_RIGHT,
    names.LABELS_REWARD_GAP,
    *(name for name in SIGNS_OF_BREAKAGE if name != names.COLLAPSE_MAJORITY_RATIO),
)
"""What the early warning reads of a row."""
AGREEMENT = WATCHED[:3]
ENDED = ("failed", "stopped", "cancelled")
"""States of runs that do not go on by themselves."""


def judge(run: RunData) -> CollapseVerdict:
    """The verdict on a run, from its rows alone."""
    lost = nothing_learnt(run)
    measure = measure_of(run) if lost is None else None
    found = course_of(measure) if measure else Course()
    defined = measure.collapse() if measure else None
    course = _as_defined(found, defined) if measure and measure.is_defined else found
    risk = risk_of(run)
    signals = _signals(run, risk, course.onset)
    by_name = {change.signal: change for change in signals}
    detected = first_detection(run, risk, by_name.get(names.LABELS_VOTE_RIGHT))
    warned, warning = _warning(run, risk)
    faults = other_faults(run) if lost is None else ()
    kind, why = None, ""
    if course.onset is not None and course.healthy is not None:
        coarse = course.onset - course.healthy
        kind = kind_of(run, by_name, onset=course.onset, coarse=coarse)
        why = reason(run, kind, course.onset)
    return CollapseVerdict(
        collapsed=None if measure is None else course.onset is not None,
        onset=course.onset,
        defined_onset=defined.onset if defined and run.audited else None,
        change_point=found.onset,
        measured_by=measure.name if measure else None,
        kind=kind,
        loss=None if course.onset is None else min(1.0, max(0.0, 1.0 - course.last / course.best)),
        signals=signals,
        warned=warned,
        warning=warning,
        detected=detected,
        lead=course.onset - detected if course.onset is not None and detected is not None else None,
        faults=faults,
        nothing_learnt="" if lost is None else describe_lost(lost),
        text=_text(run, measure, course, why) + "".join(f" It {describe_fault(f)}." for f in faults)
        if lost is None
        else explain_lost(run, lost),
    )


def _as_defined(found: Course, defined: Collapse | None) -> Course:
    """The onset by change points, unless the definition says something else.

    The definition decides whether a run has collapsed. Where both see it, change points that lie
    within a window of its onset date it better.
    """
    if defined is None:
        return replace(found, onset=None, healthy=None) if found.onset is not None else found
    if found.onset is not None and abs(found.onset - defined.onset) <= WINDOW:
        return found
    return replace(
        found,
        onset=defined.onset,
        healthy=defined.onset - 1,
        best=defined.best,
        last=defined.last,
        dip=None,
    )


def risk_of(run: RunData) -> pd.Series:
    """`collapse/risk` by step, as recorded; computed anew where a step lacks it."""
    agreement = run.series(names.COLLAPSE_MAJORITY_RATIO)
    recorded = run.series(names.COLLAPSE_RISK)
    if not len(agreement) or len(recorded) == len(agreement):
        return recorded
    watch = EarlyWarning(selective=run.selective)
    rows = _watched(run)
    risks = [watch.observe(row).risk for row in rows]
    return pd.Series(risks, index=[int(row["step"]) for row in rows], name=names.COLLAPSE_RISK)


def first_detection(run: RunData, risk: pd.Series, votes: SignalChange | None) -> int | None:
    """First step at which one of the three rules gives an alarm (module docstring).

    Args:
        run: the run.
        risk: its early warning by step.
        votes: what `labels/vote_right` did, if any label was bought.
    """
    if not len(risk):
        return None
    bought = run.series(names.LABELS_BOUGHT).reindex(risk.index).fillna(0.0)
    few = (bought.rolling(WINDOW, min_periods=1).sum() < FEW_LABELS).to_numpy()
    doubted = np.zeros(len(risk), dtype=bool)
    if votes is not None and votes.detected is not None:
        ever = (risk >= RISK_DOUBTED).to_numpy().cumsum() > 0
        doubted = ever & (risk.index.to_numpy() >= votes.detected)
    values = risk.to_numpy()
    alarms = np.flatnonzero((values >= RISK_ALONE) | (few & (values >= RISK_UNLABELLED)) | doubted)
    return int(risk.index[alarms[0]]) if len(alarms) else None


def _warning(run: RunData, risk: pd.Series) -> tuple[int | None, str]:
    """First step with an early warning at the run's own threshold, and its reason."""
    asked = run.config.get("warning.threshold", RISK_ALONE)
    threshold = float(asked) if isinstance(asked, int | float) else RISK_ALONE
    reached = risk.index[risk.to_numpy() >= threshold]
    if not len(reached):
        return None, ""
    step = int(reached[0])
    alarm = first_alarm(_watched(run, until=step), threshold=threshold, selective=run.selective)
    return step, str(alarm["reason"]) if alarm else ""


def _watched(run: RunData, *, until: int | None = None) -> list[dict[str, float]]:
    """The rows as the early warning was shown them: without keys that have no value."""
    rows = run.rows.loc[run.rows.index > 0]
    if until is not None:
        rows = rows.loc[rows.index <= until]
    rows = rows.reindex(columns=list(WATCHED)).dropna(subset=list(AGREEMENT))
    return [
        {"step": step, **{k: v for k, v in zip(WATCHED, values, strict=True) if v == v}}
        for step, values in zip(rows.index.tolist(), rows.to_numpy().tolist(), strict=True)
    ]


def _signals(run: RunData, risk: pd.Series, onset: int | None) -> tuple[SignalChange, ...]:
    """All signals that the run reports, the early warning among them, strongest first."""
    found = [change_of(signal, run, onset=onset) for signal in SIGNALS]
    signals = [change for change in found if change is not None]
    if len(risk):
        signals.append(_of_risk(risk))
    return tuple(sorted(signals, key=strength, reverse=True))


def _of_risk(risk: pd.Series) -> SignalChange:
    reached = risk.index[risk.to_numpy() >= RISK_ALONE]
    step = int(reached[0]) if len(reached) else None
    before = risk.loc[risk.index < step] if step is not None else risk
    after = risk.loc[risk.index >= step] if step is not None else None
    words = f"early warning: risk {risk.max():.2f} at most"
    if step is not None:
        words += f", {RISK_ALONE:g} first at step {step}"
    return SignalChange(
        signal=names.COLLAPSE_RISK,
        label_free=True,
        step=step,
        detected=step,
        before=float(before.mean()) if len(before) else 0.0,
        after=None if after is None else float(after.mean()),
        text=words,
    )


def _text(run: RunData, measure: Measure | None, course: Course, why: str) -> str:
    if measure is None:
        return _not_judged(run)
    if course.onset is not None and course.healthy is not None:
        since = f"at step {course.onset}"
        if course.onset <= int(measure.series.index[0]) + WINDOW:
            since = f"by step {course.onset}, the earliest that can be detected"
        if course.onset - course.healthy > WINDOW:
            since = f"between steps {course.healthy} and {course.onset}"
        return (
            f"Collapsed {since}: {why}. The {measure.title} fell from {course.best:.2f} to "
            f"{course.last:.2f}."
        )
    text = f"Not collapsed: the {measure.title} is {course.last:.2f}"
    if course.dip is not None:
        return f"{text}; it was low from step {course.dip[0]} and had recovered at {course.dip[1]}."
    if not course.learned:
        return f"{text}, no better than at the beginning: nothing was learned, nothing lost."
    return f"{text}, {course.best:.2f} at best."


def _not_judged(run: RunData) -> str:
    if run.steps < FEWEST and run.state in ENDED:
        asked = f" of {run.steps_planned}" if run.steps_planned else ""
        end = "It failed" if run.state == "failed" else f"It was {run.state}"
        return f"{end} after {run.steps} steps{asked}: {FEWEST} are needed to judge it."
    if run.steps < FEWEST:
        return f"Cannot be judged yet: {run.steps} steps, {FEWEST} are needed."
    return (
        "Cannot be judged: there is no audit (`audit=true`), no held-out accuracy at three steps, "
        "and no label that was bought blindly."
    )
