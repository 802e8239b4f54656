"""Policies that survey first, in a run: held steps leave the model, a stop changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commands import TINY, learnt_hash, metrics, purchases, results, run, weights_hash

SETTINGS = (
    *TINY,
    "acquisition.settings.survey_steps=2",
    "rollout=hf",
    "eval_every=2",
    "save_every=0",
)


@pytest.mark.parametrize("policy", ["anchored", "checked"])
def test_a_survey_leaves_the_model_and_a_stop_changes_nothing(tmp_path: Path, policy: str) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    given = f"acquisition={policy}", "acquisition.settings.threshold=0.6"
    for steps, folder in ((5, whole), (1, parts), (3, parts), (5, parts)):
        done = run(*SETTINGS, *given, f"steps={steps}", f"run_dir={folder}")
        assert done.returncode == 0, done.stderr
    rows = metrics(whole)[1:]
    assert [row["labels/trusted"] for row in rows[:2]] == [0, 0]
    assert max(row["labels/trusted"] for row in rows[2:]) > 0
    assert all(row["labels/bought"] == 4 for row in rows)
    assert weights_hash(whole, 5) == weights_hash(parts, 5)
    assert learnt_hash(whole, 5) == learnt_hash(parts, 5)
    assert purchases(whole) == purchases(parts)
    last = [row for row in results(metrics(parts, 3)) if row["step"] == 5]
    assert last == [row for row in results(metrics(whole)) if row["step"] == 5]


@pytest.mark.slow
@pytest.mark.ranks
@pytest.mark.vllm
def test_anchors_with_vllm_on_two_ranks(tmp_path: Path) -> None:
    done = run(
        *SETTINGS[:-3],
        "acquisition=anchored",
        "acquisition.settings.threshold=0.0",  # trust whatever is clear, however few agree here
        "rollout=vllm",
        "steps=4",
        "eval_every=0",
        f"run_dir={tmp_path / 'r'}",
        ranks=2,
    )
    assert done.returncode == 0, done.stderr
    rows = metrics(tmp_path / "r")[1:]
    assert max(row["labels/trusted"] for row in rows[2:]) > 0
    assert max(row["train/sampler_gap"] for row in rows) < 1e-3
