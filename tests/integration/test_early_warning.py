"""The early warning in a run: it stops with its own exit code, or buys more, and says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlavr_hpc.runs.attempts import read_attempts
from rlavr_hpc.telemetry.sinks import read_line, read_metrics
from tests.support.commands import TINY, metrics, purchases, results, rlavr, run, summary

COLLAPSING = (*TINY, "algorithm.lr=5e-3")
"""By step 10, the first that is judged, all responses agree, whatever was drawn."""
ALARMED = (*COLLAPSING, "rollout=hf", "steps=14", "eval_every=0", "warning.threshold=0.02")


def test_a_run_stops_when_collapse_is_feared_and_goes_on_only_when_told_to(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    arguments = [*ALARMED, "acquisition=none", f"run_dir={folder}"]
    stopped = run(*arguments, "warning.action=stop", "warning.act_on=hint")
    assert stopped.returncode == 3, stopped.stderr
    assert "hint of collapse at step" in stopped.stderr
    assert "hardly any label says whether they are right" in stopped.stderr
    told = summary(folder)
    step = told["early_warning"]["step"]
    assert told["status"] == "stopped"
    assert 10 <= step == told["steps"] < 14
    assert (folder / f"checkpoints/step_{step}").is_dir()
    again = run(*arguments, "warning.action=stop", "warning.act_on=hint")
    assert again.returncode == 3, "the same command goes no step further"
    assert summary(folder)["steps"] == step
    on = run(*arguments, "warning.action=warn", "allow_change=[warning]")
    assert on.returncode == 0, on.stderr
    undisturbed = run(*arguments[:-1], f"run_dir={tmp_path / 'other'}")
    assert undisturbed.returncode == 0, undisturbed.stderr
    assert results(metrics(folder, 3)) == results(metrics(tmp_path / "other")[step + 1 :])


def test_a_feared_collapse_raises_the_budget_under_its_cap(tmp_path: Path) -> None:
    done = run(
        *ALARMED,
        "acquisition=random",
        "unlabelled=pseudo",
        "budget=0.06",
        "budget_total=14",
        "warning.action=raise_budget",
        "warning.act_on=hint",
        f"run_dir={tmp_path / 'r'}",
    )
    assert done.returncode == 0, done.stderr
    rows = metrics(tmp_path / "r")[1:]
    bought = [row["labels/bought"] for row in rows]
    alarm = next(i for i, row in enumerate(rows) if row["collapse/risk"] >= 0.02)
    assert bought[: alarm + 1] == [1.0] * (alarm + 1)
    assert bought[alarm + 1] == 2.0
    assert sum(bought) == len(purchases(tmp_path / "r")) == 14, "the cap holds"


@pytest.mark.vllm
@pytest.mark.ranks
def test_a_run_rolls_back_by_itself_on_two_ranks_and_stops_when_that_does_not_help(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "run"
    done = run(
        *COLLAPSING,
        "rollout=vllm",
        "acquisition=random",
        "unlabelled=pseudo",
        "budget=0.06",
        "steps=20",
        "eval_every=0",
        "save_every=4",
        "warning.action=rollback",
        "warning.act_on=hint",
        "warning.threshold=0.02",
        "warning.healthy=0.01",
        "warning.max_rollbacks=1",
        f"run_dir={folder}",
        ranks=2,
    )
    told = summary(folder)
    assert told["rollbacks"] == 1, done.stderr
    back = next(a for a in read_attempts(folder) if a.reason == "rollback")
    assert f"to step {back.resumed_from}; branch 1 continues from there" in done.stderr
    assert back.resumed_from in (0, 4, 8, 12)
    rows = read_metrics(folder)
    alarmed = max(row["step"] for row in rows if row["branch"] == 0)
    assert back.resumed_from < alarmed
    old = {row["step"]: row for row in rows if row["branch"] == 0}
    new = {row["step"]: row for row in rows if row["branch"] == 1}
    first = back.resumed_from + 1
    assert min(new) == first
    assert new[first]["train/loss"] != old[first]["train/loss"], "with other noise"
    line = read_line(folder)
    assert [row["step"] for row in line] == list(range(len(line)))
    assert [row["branch"] for row in line[1:]] == [
        int(row["step"] > back.resumed_from) for row in line[1:]
    ]
    bought = sum(row.get("labels/bought", 0) for row in rows)
    assert told["labels_bought"] == bought == len(purchases(folder)), "both branches are paid for"
    assert rlavr("ledger", "verify", str(folder)).returncode == 0
    assert not list(folder.glob(f"checkpoints/step_{alarmed}")) or alarmed == told["steps"]


def test_a_finished_run_is_rolled_back_by_command_and_goes_on_otherwise(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    arguments = [
        *TINY,
        "rollout=hf",
        "acquisition=random",
        "reuse_labels=true",
        "steps=4",
        "eval_every=2",
        "save_every=2",
        f"run_dir={folder}",
    ]
    assert run(*arguments).returncode == 0
    before = read_metrics(folder)
    refused = rlavr("rollback", str(folder), "--to", "3")
    assert refused.returncode == 2
    assert "there is no checkpoint of step 3 to go back to; there are: 2, 4" in refused.stderr
    told = rlavr("rollback", str(folder), "--to", "2")
    assert told.returncode == 0, told.stderr
    assert "branch 1 continues after step 2" in told.stdout
    again = run(*arguments)
    assert again.returncode == 0, again.stderr
    rows = read_line(folder)
    assert [row["step"] for row in rows] == [0, 1, 2, 3, 4]
    assert [row["branch"] for row in rows] == [0, 0, 0, 1, 1]
    assert results(rows[:3]) == results(before[:3])
    assert rows[4]["train/loss"] != before[4]["train/loss"]
    assert summary(folder)["labels_allowed"] == 6 * 4, "steps 3 and 4 were done twice"
    paid = [prompt for _, prompt, _, _ in purchases(folder)]
    assert len(paid) == len(set(paid)), "what was bought on the old branch is owned"
    assert rlavr("ledger", "verify", str(folder)).returncode == 0


@pytest.mark.slow
def test_a_roll_back_to_the_start_needs_a_new_process(tmp_path: Path) -> None:
    """There is no healthy checkpoint, and the weights that are loaded are not the first ones."""
    folder = tmp_path / "run"
    begun = [*ALARMED[:-3], "acquisition=none", "eval_every=0", f"run_dir={folder}"]
    assert run(*begun, "steps=12", "warning.action=none", "save_every=0").returncode == 0
    more = (*begun, "steps=14", "save_every=0", "warning.action=rollback", "warning.act_on=hint")
    more = (*more, "warning.threshold=0.02")
    more = (*more, "warning.healthy=0.01", "warning.max_rollbacks=1", "allow_change=[warning]")
    stopped = run(*more)
    assert stopped.returncode == 75, stopped.stderr
    assert "was rolled back to its start" in stopped.stderr
    again = run(*more)
    rows = [row for row in read_metrics(folder) if row["branch"] == 1]
    assert [row["step"] for row in rows] == list(range(len(rows)))
    assert len(rows) > 10, again.stderr
    assert read_line(folder) == rows
