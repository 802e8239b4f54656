"""The policy asked about its own responses, through vLLM: prompts far longer than training's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commands import TINY, metrics, run


@pytest.mark.vllm
def test_self_verification_with_vllm_pays_what_the_policy_says(tmp_path: Path) -> None:
    """The tiny model cannot judge, so nothing is earned; a bought label still is."""
    done = run(
        *TINY,
        "rollout=vllm",
        "reward=self_verify",
        "reward.settings.max_tokens=16",
        "steps=2",
        "acquisition=random",
        "unlabelled=pseudo",
        "budget=0.75",
        "eval_every=0",
        f"run_dir={tmp_path / 'r'}",
    )
    assert done.returncode == 0, done.stderr
    rows = metrics(tmp_path / "r")[1:]
    assert [row["collapse/pseudo_reward"] for row in rows] == [0.0, 0.0]
    assert any(row["collapse/trained_reward"] > 0 for row in rows)
