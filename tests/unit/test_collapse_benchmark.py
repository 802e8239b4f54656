"""The collapse benchmark: what it plans, what it promises, and its figures."""

from __future__ import annotations

from pathlib import Path

from analysis.run_findings import CollapseVerdict, SignalChange
from benchmarks.collapse import chosen
from benchmarks.collapse_report import Judged, broken, signals_of, write_report


def judged(
    arm: str,
    *,
    seed: int = 1,
    onset: int | None = None,
    defined: int | None = None,
    detected: int | None = None,
    warned: int | None = None,
) -> Judged:
    sign = SignalChange(
        signal="collapse/unanimous",
        label_free=True,
        step=None,
        detected=detected,
        before=None,
        after=None,
        text="",
    )
    verdict = CollapseVerdict(
        collapsed=onset is not None,
        onset=onset,
        change_point=onset,
        defined_onset=defined,
        detected=detected,
        warned=warned,
        signals=(sign,),
    )
    return Judged(arm=arm, budget=0.2, seed=seed, verdict=verdict)


def test_every_policy_is_run_over_five_seeds_and_the_quick_study_is_small() -> None:
    jobs = chosen(5, quick=False)
    assert len(jobs) == 60
    assert len({job.folder for job in jobs}) == 60
    assert "anchored, all trusted" not in {job.arm for job in jobs}
    quick = chosen(5, quick=True)
    assert len(quick) == 8
    assert {job.arm for job in quick} == {"none", "full", "random", "care"}


def test_an_onset_that_is_off_or_missed_and_any_alarm_on_full_break_a_promise() -> None:
    assert broken([judged("none", onset=20, defined=30), judged("full")]) == []
    off, missed = judged("none", onset=19, defined=30), judged("none", defined=30)
    alarms = [judged("full", detected=9), judged("full", warned=9), judged("full", onset=9)]
    lines = broken([off, missed, *alarms])
    assert len(lines) == 5
    assert lines[0] == "BROKEN: none 0.2 seed 1: onset 19, by the definition 30"
    assert "onset none" in lines[1]
    assert all("an alarm on a run with every label" in line for line in lines[2:])


def test_the_tables_hold_errors_leads_and_false_alarms_by_hand(tmp_path: Path) -> None:
    runs = [
        judged("none", onset=12, defined=14, detected=10),
        judged("none", seed=3, onset=20, defined=20, detected=22),
        judged("random", seed=3, detected=5),
        judged("random", seed=4, onset=50),
        judged("full"),
    ]
    assert signals_of(runs) == ["collapse/unanimous"]
    write_report(runs, tmp_path / "collapse.md", machine="somewhere")
    text = (tmp_path / "collapse.md").read_text()
    assert "| none, 20% | 2 | 2 | 2 | 2 | -1 (-2 to +0) | 0 | 0 |" in text
    assert "| random, 20% | 2 | 0 | 0 | 0 |  | 0 | 1 |" in text
    assert "| `collapse/unanimous` | 2 | 2 | +1 (+0 to +2) | 3 | 1 | 0 |" in text
    assert "| 1 and 2 | 1 | 1 | +4 | 1 | 0 |" in text
    assert "| the others | 1 | 1 | -2 | 2 | 1 |" in text
