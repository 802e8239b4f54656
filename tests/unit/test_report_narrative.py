"""The report's sentences."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from analysis.report.narrative import condition_collapses, headline, warned_before, when
from analysis.run_findings import CollapseKind, CollapseVerdict, RunFindings
from analysis.study_findings import Comparison, Interval
from analysis.text.numbers import (
    clipped,
    counted,
    duration,
    listed,
    number,
    outcome,
    percent,
    steps_ahead,
    with_interval,
)
from tests.support.findings import PLANS, WAITING, findings, run

NONE = PLANS[-1]
CARE = PLANS[4]
NOTHING = "\N{EN DASH}"


def with_verdict(**facts: Any) -> RunFindings:  # noqa: ANN401
    """A run that is not judged, with these facts."""
    return replace(run(CARE, 1), verdict=CollapseVerdict(collapsed=None, **facts))


def ending_at(accuracy: float) -> RunFindings:
    """A healthy run that ends with this accuracy."""
    healthy = run(CARE, 1)
    return replace(healthy, spending=replace(healthy.spending, accuracy_end=accuracy))


def test_the_headline_counts_collapsed_runs_among_those_that_can_be_judged() -> None:
    told = headline(findings())
    assert told.verdict == "14 of 37 runs collapsed."
    assert told.detail == (
        "Every run of: entropy budget=0.2, none. "
        "Some runs of: random budget=0.2 (3 of 5), care budget=0.2 (1 of 5)."
    )
    assert told.aside == "Cannot be judged (yet): 2 runs. Failed: 1 run. Not started: 1 run."
    assert told.best.startswith("full: 0.7")
    assert told.best.endswith("for 9,600 labels; 0 of 5 runs collapsed.")


@pytest.mark.parametrize(
    ("runs", "verdict"),
    [
        ((), "No runs were found."),
        ((run(WAITING, 1, last=0),), "The run cannot be judged yet."),
        ((run(CARE, 1),), "The run is healthy."),
        ((run(CARE, 2),), "The run collapsed."),
        (
            (run(WAITING, 1, last=4, state="failed"),),
            "The run failed after 4 steps of 150 and cannot be judged; `rlavr why` explains it.",
        ),
        ((run(WAITING, 1, last=4, state="stopped"),), "The run cannot be judged."),
        (
            (with_verdict(nothing_learnt="no response could be read in any of its 20 steps"),),
            "Nothing was learnt: no response could be read in any of its 20 steps.",
        ),
        (
            (ending_at(0.1),),
            "The run did not collapse, and its held-out accuracy did not rise.",
        ),
        ((run(CARE, 1), run(CARE, 3)), "None of 2 runs collapsed."),
    ],
)
def test_the_headline_of_few_runs_is_a_plain_sentence(runs: tuple[()], verdict: str) -> None:
    assert headline(findings(runs=runs, comparison=Comparison())).verdict == verdict


def test_where_nothing_was_learnt_the_next_thing_is_what_changes_it() -> None:
    lost = with_verdict(nothing_learnt="no response could be read", text="Set grading.extract.")
    assert headline(findings(runs=(lost,))).next == ("Set grading.extract.",)
    told = headline(findings(runs=(lost, run(CARE, 2)), comparison=Comparison()))
    assert told.aside == "Nothing was learnt in 1 run: no response could be read."


def test_the_headline_of_one_collapsed_run_says_when_and_why() -> None:
    told = headline(findings(runs=(run(CARE, 2),), comparison=Comparison()))
    assert told.detail == (
        "care budget=0.2, from step 36: wrong belief: votes agree more and more on wrong answers."
    )


def test_an_condition_that_reads_every_label_is_never_named_best() -> None:
    base = findings()
    first, *rest = base.comparison.conditions
    conditions = (replace(first, name="peeking", uses_oracle=True), *rest)
    told = headline(replace(base, comparison=replace(base.comparison, conditions=conditions)))
    assert told.best.startswith("anchored budget=0.2: ")


def test_collapses_begin_with_the_condition_that_lost_the_largest_share_of_its_runs() -> None:
    told = condition_collapses(findings())
    assert [(collapse.condition, len(collapse.runs), collapse.judged) for collapse in told] == [
        ("entropy budget=0.2", 5, 5),
        ("none", 5, 5),
        ("random budget=0.2", 3, 5),
        ("care budget=0.2", 1, 5),
    ]
    assert told[2].kinds == (
        "wrong belief (2 of 3): votes agree more and more on wrong answers; length hacking (1 of "
        "3): responses ran into the length limit or shrank to next to nothing"
    )


def test_a_signal_is_told_by_its_medians_over_the_collapsed_runs_that_show_it() -> None:
    collapsed = [run(NONE, seed) for seed in (1, 2, 3)]
    changed = [
        replace(r.verdict.signals[0], before=before, after=after, step=(r.verdict.onset or 0) - gap)
        for r, before, after, gap in zip(
            collapsed, (0.1, 0.2, 0.4), (0.5, 0.9, 0.8), (-1, 3, 8), strict=True
        )
    ]
    runs = tuple(
        replace(r, verdict=replace(r.verdict, signals=(change,)))
        for r, change in zip(collapsed, changed, strict=True)
    )
    (collapse,) = condition_collapses(findings(runs=runs, comparison=Comparison()))
    (signal,) = collapse.signals
    assert (signal.before, signal.after, signal.runs) == (0.2, 0.8, 3)
    assert signal.text == "0.20 → 0.80, about 3 steps before the onset, in 3 of 3 runs"


def test_a_signal_without_a_change_is_left_out() -> None:
    one = run(CARE, 2)
    still = replace(one.verdict.signals[0], step=None)
    alone = replace(one, verdict=replace(one.verdict, signals=(still,)))
    (collapse,) = condition_collapses(findings(runs=(alone,), comparison=Comparison()))
    assert collapse.signals == ()


def test_onsets_are_told_as_a_range_with_their_median() -> None:
    collapsed = [run(NONE, seed) for seed in (1, 2, 5)]
    assert when(collapsed) == "from step 27 to 63, median 36"
    assert when(collapsed[:1]) == "from step 27"


def test_a_late_detection_is_called_late() -> None:
    runs = [
        replace(r, verdict=replace(r.verdict, lead=lead, warned=warned))
        for r, lead, warned in zip(
            (run(NONE, 1), run(NONE, 2), run(NONE, 3)), (-6, 2, None), (None, 41, None), strict=True
        )
    ]
    assert warned_before(runs) == (
        "Label-free signals alone detected 2 of 3 collapses, 1 of them before the onset; median 2 "
        "steps after the onset. The runs' own hint came in 1 of 3."
    )
    assert warned_before(runs[2:]) == (
        "No label-free signal detected it. The run's own hint never came."
    )


def test_a_collapse_without_a_kind_is_called_unexplained() -> None:
    one = run(CARE, 2)
    odd = replace(one, verdict=replace(one.verdict, kind=None))
    (collapse,) = condition_collapses(findings(runs=(odd,), comparison=Comparison()))
    assert collapse.kinds.startswith("unexplained: ")
    assert CollapseKind.other.value not in collapse.kinds


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (number(None), NOTHING),
        (number(0.12345), "0.123"),
        (number(3), "3"),
        (number(1950), "1,950"),
        (number(12345.6), "12,346"),
        (number(-0.02), "-0.020"),
        (percent(0.456), "46%"),
        (percent(None), NOTHING),
        (duration(48), "48 s"),
        (duration(720), "12 min"),
        (duration(12_240), "3.4 h"),
        (counted(1, "crash", "crashes"), "1 crash"),
        (counted(2, "crash", "crashes"), "2 crashes"),
        (counted(1200, "step"), "1,200 steps"),
        (listed("abc", 2), "a, b, 1 more"),
        (listed("ab", 2), "a, b"),
        (steps_ahead(4.0), "4 steps before the onset"),
        (steps_ahead(-1.0), "1 step after the onset"),
        (steps_ahead(0.2), "at the onset"),
        (clipped("a\nb" * 9, 5), "a ba\N{HORIZONTAL ELLIPSIS}"),
        (with_interval(Interval(mean=0.7, low=0.6, high=0.8, count=5)), "0.700 [0.600, 0.800]"),
        (with_interval(Interval(mean=0.7, low=0.7, high=0.7, count=1)), "0.700"),
    ],
)
def test_numbers_are_written_for_people(said: str, meant: str) -> None:
    assert said == meant


def test_a_run_that_cannot_be_judged_is_told_from_one_that_has_not_started() -> None:
    assert outcome(run(WAITING, 1, last=40)) == "unknown"
    assert outcome(run(WAITING, 1, last=0)) == "planned"
    assert outcome(run(CARE, 1)) == "healthy"
    assert outcome(run(CARE, 2)) == "collapsed"
