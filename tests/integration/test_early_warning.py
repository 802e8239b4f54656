"""The early warning in a run: it stops with its own exit code, or buys more, and says why."""

from __future__ import annotations

from pathlib import Path

from tests.support.commands import TINY, metrics, purchases, results, run, summary

ALARMED = (*TINY, "rollout=hf", "steps=14", "eval_every=0", "warning.threshold=0.02")


def test_a_run_stops_when_collapse_is_feared_and_goes_on_only_when_told_to(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    arguments = [*ALARMED, "acquisition=none", f"run_dir={folder}"]
    stopped = run(*arguments, "warning.action=stop")
    assert stopped.returncode == 3, stopped.stderr
    assert "early warning at step" in stopped.stderr
    assert "hardly any label says whether they are right" in stopped.stderr
    told = summary(folder)
    step = told["early_warning"]["step"]
    assert told["status"] == "stopped"
    assert 10 <= step == told["steps"] < 14
    assert (folder / f"checkpoints/step_{step}").is_dir()
    again = run(*arguments, "warning.action=stop")
    assert again.returncode == 3, "the same command goes no step further"
    assert summary(folder)["steps"] == step
    on = run(*arguments, "warning.action=warn", "allow_change=[warning]")
    assert on.returncode == 0, on.stderr
    undisturbed = run(*arguments[:-1], f"run_dir={tmp_path / 'other'}")
    assert undisturbed.returncode == 0, undisturbed.stderr
    assert results(metrics(folder, 3)) == results(metrics(tmp_path / "other")[step + 1 :])


def test_a_feared_collapse_raises_the_budget_under_its_cap(tmp_path: Path) -> None:
    done = run(
        *ALARMED, "acquisition=random", "unlabelled=pseudo", "budget=0.06", "budget_total=14",
        "warning.action=raise_budget", f"run_dir={tmp_path / 'r'}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = metrics(tmp_path / "r")[1:]
    bought = [row["labels/bought"] for row in rows]
    alarm = next(i for i, row in enumerate(rows) if row["collapse/risk"] >= 0.02)
    assert bought[: alarm + 1] == [1.0] * (alarm + 1)
    assert bought[alarm + 1] == 2.0
    assert sum(bought) == len(purchases(tmp_path / "r")) == 14, "the cap holds"
