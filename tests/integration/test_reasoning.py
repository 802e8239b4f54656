"""The testbed with worked steps, from its base model to bought labels, with next to no training."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlavr_hpc.testbed.reasoning.dataset import make_puzzles
from rlavr_hpc.testbed.reasoning.language import make_language
from tests.support.commands import TINY, metrics, purchases, rlavr, run

GIVEN = (
    "experiment=reasoning",
    *(key for key in TINY if not key.startswith("model.pretrain_steps")),
    "model.pretrain_steps=20",
    "data.count=64",
    "data.eval_count=8",
    "acquisition=random",
    "rollout=hf",
    "steps=2",
)


@pytest.mark.slow
def test_its_labels_are_the_solutions_of_its_puzzles(tmp_path: Path) -> None:
    done = run(*GIVEN, f"run_dir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    puzzles = make_puzzles(make_language(0), count=64, seed=0, held_out=False)
    labels = {puzzle.id: puzzle.label for puzzle in puzzles}
    bought = purchases(tmp_path / "run")
    assert len(bought) == 2 * 4
    assert all(label == labels[prompt] for _, prompt, label, _ in bought)
    assert [row["step"] for row in metrics(tmp_path / "run")] == [0, 1, 2]
    done = rlavr("evaluate", str(tmp_path / "run"), "--on", "held_out", "--limit", "4")
    assert done.returncode == 0, done.stderr
