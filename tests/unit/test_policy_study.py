"""The policy study: what it plans, and that its figures are what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.policies import Row, append_row, read_rows
from benchmarks.policy_plan import planned
from benchmarks.policy_report import share_of_way, summarize, write_report


def row(arm: str, accuracy: float, *, seed: int = 1, budget: float = 0.2) -> Row:
    return Row(
        study="budget",
        arm=arm,
        budget=budget,
        seed=seed,
        labels=100,
        accuracy_start=0.4,
        accuracy_end=accuracy,
        collapsed=accuracy < 0.3,
        collapse_step=None,
        alarm_step=7,
        seconds=1.0,
    )


def test_means_intervals_and_shares_by_hand() -> None:
    rows = [row("random", 0.2), row("random", 0.4, seed=2), row("full", 0.8, budget=1.0)]
    cells = summarize([*rows, row("care", 0.6)])
    random = cells["random", 0.2]
    assert (random.seeds, random.collapsed) == (2, 1)
    assert random.accuracy == pytest.approx(0.3)
    assert random.half_width == pytest.approx(12.71 * 0.1, rel=1e-3)  # t(1) * sd / sqrt(2)
    assert share_of_way(cells, "care", 0.2, to=("full", 1.0)) == pytest.approx(0.6)
    assert share_of_way(cells, "care", 0.1, to=("full", 1.0)) is None


def test_a_finished_run_is_kept_as_it_was_and_never_planned_twice(tmp_path: Path) -> None:
    table = tmp_path / "policies.csv"
    rows = [row("care", 0.6), row("cag_oracle, rest on votes", 0.7)]
    for one in rows:
        append_row(table, one)
    assert read_rows(table) == rows
    jobs = planned(["budget", "reuse", "variants"], 5, quick=False)
    assert len({job.key for job in jobs}) == len({job.folder for job in jobs}) == len(jobs)
    write_report(read_rows(table), tmp_path, machine="somewhere")
    assert "| care | 0.2 | 100 | 0.600 | 0 of 1 |" in (tmp_path / "policies.md").read_text()


def test_the_quick_study_is_the_48_runs_that_readme_tells_of() -> None:
    assert len(planned(["budget", "reuse", "variants"], 3, quick=True)) == 48
